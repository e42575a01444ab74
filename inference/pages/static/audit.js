// Keys 1-9 press the class with that number, 0 says "cannot tell". The form works without this file.
"use strict";

const form = document.getElementById("answer");
const choices = [...form.querySelectorAll(".choice")];
let sent = false;

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=hidden]), select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const digit = Number.parseInt(event.key, 10);
  const button = digit === 0 ? document.getElementById("skip") : choices[digit - 1];
  if (button && !sent) button.click();
});

form.addEventListener("submit", (event) => {
  // Enter in the text field must not press the first class.
  const typed = form.elements.other.value.trim();
  if (event.submitter && event.submitter.id === "skip") form.elements.other.value = "";
  else if (event.submitter && event.submitter.id === "use-other" && !typed) {
    event.preventDefault();
    form.elements.other.focus();
    return;
  }
  if (sent) event.preventDefault();
  sent = true;
});

form.elements.other.addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    event.preventDefault();
    document.getElementById("use-other").click();
  }
});

// A page that comes back from the browser's history can be sent again.
window.addEventListener("pageshow", () => { sent = false; });
