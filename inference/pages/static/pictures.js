// Marks all of a page, counts what is marked, moves by arrow keys, renews what is still being read. The page works without it.
"use strict";

const RENEW_MS = 3000;
const form = document.getElementById("pictures");
const notes = document.getElementById("notes");
const boxes = form ? [...form.querySelectorAll("input[name^=pick-]")] : [];
const marked = () => boxes.filter((box) => box.checked);

function show() {
  const n = marked().length;
  document.getElementById("marked").textContent = n ? `${n} marked` : "Mark pictures to send or export them.";
  form.querySelector(".selection").classList.toggle("none", !n);
  const all = document.getElementById("all");
  all.checked = n === boxes.length;
  all.indeterminate = n > 0 && n < boxes.length;
}

if (form) {
  for (const id of ["all", "all-text"]) document.getElementById(id).hidden = false;
  document.getElementById("all").addEventListener("change", (event) => {
    for (const box of boxes) box.checked = event.target.checked;
    show();
  });
  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => {
    if (marked().length) return;
    event.preventDefault();
    document.getElementById("marked").textContent = "Mark at least one picture first.";
  });
  form.addEventListener("keydown", (event) => {
    const links = [...form.querySelectorAll(".open")];
    const at = links.indexOf(document.activeElement);
    if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const wide = links.filter((link) => link.getBoundingClientRect().top === links[0].getBoundingClientRect().top).length;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: wide, ArrowUp: -wide }[event.key];
    if (event.key === "x" || event.key === " ") boxes[at].click();
    else if (step && links[at + step]) links[at + step].focus();
    else if (!step) return;
    event.preventDefault();
  });
  window.addEventListener("pageshow", show);
}

if ("renews" in notes.dataset) {
  setInterval(() => {
    const busy = document.hidden || marked().length || document.activeElement.closest("form, details");
    if (!busy) location.reload();
  }, RENEW_MS);
}
