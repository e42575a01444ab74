// Shows what is new every few seconds, while somebody looks. The page works without this file.
"use strict";

const EVERY_MS = 10000;
const models = document.getElementById("models");

async function refresh() {
  if (document.hidden || models.contains(document.activeElement)) return; // nothing moves under a reader's focus
  try {
    const answer = await fetch("/overview?part=models", { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (answer.redirected) location.reload(); // the session has ended
    else if (answer.ok) models.innerHTML = await answer.text();
    else throw new Error(answer.statusText);
  } catch {
    const fresh = document.getElementById("fresh");
    if (fresh && !fresh.dataset.stale) {
      fresh.dataset.stale = "1";
      fresh.append(" · the service does not answer: this may be old");
    }
  }
}

setInterval(refresh, EVERY_MS);
document.addEventListener("visibilitychange", refresh);
