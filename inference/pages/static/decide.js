// One click is one decision: the button rests while the version is asked. The page works without this file.
"use strict";

for (const form of document.querySelectorAll("form#decide, form.answer")) {
  form.addEventListener("submit", () => {
    // After the form was read: a disabled button's value is not sent.
    setTimeout(() => form.querySelectorAll("button").forEach((button) => { button.disabled = true; }), 0);
    const working = form.querySelector("[role=status]");
    if (working) working.hidden = false;
  });
}
// A page that comes back from the browser's memory can be used again.
addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("form button").forEach((button) => { button.disabled = false; });
});
