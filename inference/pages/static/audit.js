// A whole batch without loading a page: each answer is kept in the browser until the service has it (answers.js).
// The form works without this file.
"use strict";

const form = document.getElementById("answer"), field = form.elements.other;
const place = document.getElementById("items"), mode = form.dataset.keys;
const sample = Answers.readSample(form), batch = { ...sample, batch: form.elements.batch.value };
const names = [...document.querySelectorAll("#classes option")].map((o) => o.value);
const known = new Set(names);
const total = Number(place.dataset.size);
let items = [...place.children].map((li) => ({ id: li.dataset.id, image: li.dataset.image }));
const takeBack = document.getElementById("take-back"), tookBefore = !takeBack.disabled;
const before = []; // what was answered on this page, newest last

const isOurs = (entry) => entry.path === "/audit" && Object.keys(batch).every((name) => entry.body[name] === batch[name]);

function show() {
  if (!items.length) return leave();
  const [item, following] = items;
  form.elements.prediction_id.value = item.id;
  document.getElementById("picture").src = item.image;
  document.getElementById("number").textContent = `picture ${total - items.length + 1} of ${total}`;
  if (following) new Image().src = following.image;
  field.value = "";
  takeBack.disabled = !before.length && !tookBefore;
  filter();
  if (mode === "search" && matchMedia("(hover: hover)").matches) field.focus();
}

function leave() { // the next batch, when the service has all answers to this one
  form.querySelectorAll("button, input").forEach((control) => { control.disabled = true; });
  if (!Answers.waiting()) location.assign(`/audit?${new URLSearchParams(sample)}`);
}

function answer(what, said) {
  const [item] = items;
  if (!item) return;
  items = items.slice(1);
  before.push(item);
  document.getElementById("said").textContent = `${said}. Backspace takes it back.`;
  Answers.keep("/audit", { ...batch, answers: [{ prediction_id: item.id, ...what }] });
  show();
}

function undo() {
  const item = before.pop();
  if (!item) return takeBack.click(); // an answer of an earlier page: the service knows which
  items.unshift(item);
  document.getElementById("said").textContent = "Taken back.";
  Answers.keep("/audit", { ...batch, answers: [{ prediction_id: item.id, withdraws: true }] });
  show();
}

async function choose(label) {
  const name = label.trim().replace(/\s+/g, " ");
  if (!name) return field.focus();
  if (known.size && !known.has(name)) {
    if (!(await NewClass.ask([name]))) return field.focus();
    known.add(name);
    names.push(name);
  }
  answer({ label: name }, `Kept as “${name}”`);
}

const skip = () => answer({ skips: true }, "Skipped");
const cannotTell = () => answer({ label: null }, "Kept: you cannot tell");

// -- more than nine classes: type to search ------------------------------------------------------------------------

const shown = () => [...form.querySelectorAll(".choice:not([hidden])")];
let best = 0;

function filter() {
  if (mode !== "search") return;
  const text = field.value.trim().toLowerCase();
  const found = names.filter((n) => n.toLowerCase().includes(text));
  found.sort((a, b) => b.toLowerCase().startsWith(text) - a.toLowerCase().startsWith(text));
  const most = Number(form.dataset.most);
  document.querySelector(".classes").replaceChildren(...found.slice(0, most).map((name) => {
    const button = document.createElement("button"), inner = document.createElement("bdi");
    button.className = "choice";
    button.name = "label";
    button.value = inner.textContent = name;
    button.append(inner);
    return button;
  }));
  best = 0;
  mark();
  document.getElementById("matches").textContent = !text ? `${names.length} classes: type to search`
    : found.length ? `${found.length} match; Enter takes ${found[0]}` : "No class matches; Enter asks whether to make it";
}

function mark() {
  shown().forEach((button, i) => button.classList.toggle("best", i === best && field.value.trim() !== ""));
}

field.addEventListener("input", filter);
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    event.preventDefault();
    const found = shown()[best];
    choose(mode === "search" && found && field.value.trim() ? found.value : field.value);
  } else if (mode === "search" && ["ArrowDown", "ArrowUp"].includes(event.key)) {
    event.preventDefault();
    best = Math.max(0, Math.min(shown().length - 1, best + (event.key === "ArrowDown" ? 1 : -1)));
    mark();
    shown()[best]?.scrollIntoView({ block: "nearest" });
  }
});

// -- keys ----------------------------------------------------------------------------------------------------------

function findChoice(key) {
  const choices = shown();
  if (mode === "typed") return choices.find((b) => b.value === key) || choices.find((b) => b.value.toLowerCase() === key.toLowerCase());
  return mode === "numbers" && /^[1-9]$/.test(key) ? choices[Number(key) - 1] : undefined;
}

document.addEventListener("keydown", (event) => {
  if (!Keys.may(event) || (Keys.typing(event) && event.target.value !== "") || (Keys.typing(event) && event.target !== field)) return;
  const choice = Keys.typing(event) && mode !== "search" ? undefined : findChoice(event.key);
  const act = choice ? () => choose(choice.value) : Keys.typing(event) && mode !== "search" ? undefined
    : { Backspace: undo, ArrowRight: skip, "?": cannotTell, "+": () => Zoom.open(document.getElementById("picture")),
      ...(mode === "numbers" ? { 0: cannotTell } : {}) }[event.key];
  if (act) { event.preventDefault(); act(); }
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const by = event.submitter;
  if (by?.id === "skip") skip();
  else if (by?.id === "unsure") cannotTell();
  else if (by?.name === "label") choose(by.value);
  else choose(field.value);
});
document.getElementById("undo").addEventListener("submit", (event) => {
  if (before.length) { event.preventDefault(); undo(); }
});
for (const id of ["enlarge", "picture"]) {
  document.getElementById(id).addEventListener("click", () => Zoom.open(document.getElementById("picture")));
}
Answers.onSent((entry) => { if (isOurs(entry) && !items.length) leave(); });

if (mode === "search") field.removeAttribute("list"); // the buttons show what matches

// What was said on this page before it was loaded again, and is not with the service yet.
for (const entry of Answers.list().filter((e) => isOurs(e) && !e.refused)) {
  for (const said of entry.body.answers) items = items.filter((item) => item.id !== said.prediction_id || said.withdraws);
}
Answers.start();
show();
