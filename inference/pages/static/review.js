// Counts what is unmarked, moves to the class field, and sends once. The form works without this file.
"use strict";

const form = document.getElementById("review");
const boxes = [...form.querySelectorAll("input[name^=ok-]")];
const count = document.getElementById("count");
let sent = false;

function show() {
  const unsure = (box) => box.closest(".tile").querySelector("input[name^=unsure-]").checked;
  const wrong = boxes.filter((box) => !box.checked && !unsure(box)).length;
  count.textContent = wrong ? `${wrong} marked as wrong` : "";
  for (const box of boxes) {
    const verdict = box.parentElement.querySelector(".verdict");
    verdict.textContent = box.checked ? "right" : unsure(box) ? "not sure" : "wrong";
  }
}

for (const box of boxes) {
  box.addEventListener("change", () => {
    const field = box.closest(".tile").querySelector(".class input");
    if (box.checked) {
      field.value = "";
      box.closest(".tile").querySelector("input[name^=unsure-]").checked = false;
    }
    show();
  });
  box.closest(".tile").querySelector("input[name^=unsure-]").addEventListener("change", show);
}

form.addEventListener("keydown", (event) => {
  // Enter in a class field goes on to the next picture instead of sending the whole form.
  if (event.key !== "Enter" || !event.target.matches(".class input")) return;
  event.preventDefault();
  const next = boxes[boxes.indexOf(event.target.closest(".tile").querySelector("input[name^=ok-]")) + 1];
  (next || document.getElementById("submit")).focus();
});

form.addEventListener("submit", (event) => {
  if (sent) event.preventDefault();
  sent = true;
});

window.addEventListener("pageshow", () => { sent = false; show(); });
