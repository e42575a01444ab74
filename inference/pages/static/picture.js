// Arrow keys go on and back, u to all, z enlarges. The page works without this file.
"use strict";

const KEYS = { ArrowLeft: "previous", k: "previous", ArrowRight: "next", j: "next", u: "back", z: "zoom" };
const frame = document.getElementById("frame");
const zoom = document.getElementById("zoom");

function enlarge() {
  zoom.setAttribute("aria-pressed", String(frame.classList.toggle("zoomed")));
}

if (frame) {
  zoom.hidden = false;
  zoom.addEventListener("click", enlarge);
  document.getElementById("large").addEventListener("click", enlarge);
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, select, textarea")) return;
  if (event.key.startsWith("Arrow") && frame && frame.classList.contains("zoomed") && frame.contains(event.target)) return;
  const target = document.getElementById(KEYS[event.key] || "");
  if (target) target.click();
});
