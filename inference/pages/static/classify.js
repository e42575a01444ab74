// Sends an image to POST /v1/predictions, shows the answer, and sends what people say to POST /v1/labels.
"use strict";

const page = document.getElementById("classify");
const byId = (id) => document.getElementById(id);
const csrf = document.querySelector("meta[name=csrf]").content;
let current = null; // the answer on the screen
let running = 0; // only the newest request may show its answer

async function post(address, body, type) {
  const headers = { "Content-Type": type };
  if (csrf) headers["X-CSRF-Token"] = csrf;
  const response = await fetch(address, { method: "POST", headers, body });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ? answer.error.message : `the service answered ${response.status}`);
  return answer;
}

function say(text, failed) {
  byId("status").textContent = text;
  byId("status").className = failed ? "error" : "";
}

async function classify(file) {
  const mine = ++running;
  const preview = byId("preview");
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(file);
  preview.alt = `The chosen image, ${file.name || "pasted"}`;
  preview.hidden = false;
  byId("invitation").hidden = true;
  await ask(mine, file, file.type || "application/octet-stream");
}

async function classifyUrl(url) { // its picture is not shown: this page asks no other host for anything
  const mine = ++running;
  byId("preview").hidden = true;
  byId("invitation").hidden = false;
  await ask(mine, JSON.stringify({ url }), "application/json");
}

async function ask(mine, body, type) {
  byId("result").hidden = true;
  say("Looking at it …");
  const model = byId("model") ? `&model=${encodeURIComponent(byId("model").value)}` : "";
  try {
    const answer = await post(`/v1/predictions?top_k=5${model}`, body, type);
    if (mine !== running) return;
    show(answer);
    say("");
  } catch (error) {
    if (mine === running) say(`This did not work: ${error.message}`, true);
  }
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function bar(one) {
  const button = element("button", "");
  button.type = "button";
  button.disabled = !page.dataset.mayLabel;
  const fill = element("span", "fill");
  fill.style.width = `${Math.max(0.5, one.probability * 100)}%`;
  const track = element("span", "track");
  track.append(fill);
  const name = document.createElement("bdi");
  name.textContent = one.label;
  button.append(name, element("span", "share", `${(one.probability * 100).toFixed(1)}%`), track);
  button.addEventListener("click", () => judge(one.label));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function show(answer) {
  current = answer;
  byId("answers").replaceChildren(...answer.predictions.map(bar));
  const decided = byId("decision");
  decided.hidden = !answer.decision;
  decided.textContent = answer.decision === "accept"
    ? "Accepted: this answer is confident enough to be taken unseen."
    : "For review: somebody should look at this answer.";
  decided.dataset.decision = answer.decision || "";
  byId("facts").textContent = `${answer.model}, version ${answer.model_version} · ${answer.prediction_id}`;
  byId("result").hidden = false;
  if (page.dataset.mayLabel) {
    byId("feedback").hidden = false;
    byId("thanks").textContent = "";
    byId("label").value = "";
  }
}

async function judge(label) { // null: the first answer is wrong, whatever the class
  const said = label === null ? { wrong: true } : { label };
  const judgement = { prediction_id: current.prediction_id, saw_prediction: true, ...said };
  if (page.dataset.labeler) judgement.labeler = page.dataset.labeler;
  try {
    await post("/v1/labels", JSON.stringify(judgement), "application/json");
  } catch (error) {
    say(`The label was not kept: ${error.message}`, true);
    return;
  }
  say("");
  for (const [i, item] of [...byId("answers").children].entries()) {
    item.firstChild.classList.toggle("chosen", current.predictions[i].label === label);
  }
  byId("thanks").textContent = label === null
    ? "Thank you. Kept as wrong. If you know the right class, choose it above or type it."
    : `Thank you. Kept as “${label}”. You can still change it.`;
}

byId("file").addEventListener("change", (event) => {
  if (event.target.files.length) classify(event.target.files[0]);
  event.target.value = ""; // the same file can be chosen again
});

if (byId("by-url")) {
  byId("by-url").addEventListener("submit", (event) => {
    event.preventDefault();
    classifyUrl(byId("url").value.trim());
  });
}

const drop = byId("drop");
for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) classify(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) classify(event.clipboardData.files[0]);
});

if (page.dataset.mayLabel) {
  byId("wrong").addEventListener("click", () => judge(null));
  byId("correct").addEventListener("click", () => judge(current.predictions[0].label));
  byId("other").addEventListener("submit", (event) => {
    event.preventDefault();
    const label = byId("label").value.trim();
    if (label) judge(label);
  });
}
