// Keys for every picture, marks that outlive a reload, and one submission that is kept in the browser until the service
// has it (answers.js). The form works without this file.
"use strict";

const form = document.getElementById("review");
const tiles = [...form.querySelectorAll(".tile")];
const naming = form.dataset.naming === "1";
const known = new Set([...document.querySelectorAll("#classes option")].map((o) => o.value));
const sample = Answers.readSample(form), batch = { ...sample, batch: form.elements.batch.value };
const DRAFT = "trueup-draft", name = JSON.stringify(batch);
const count = document.getElementById("count");
let current = tiles[0], sent = false;

const box = (tile) => tile.querySelector("input[name^=ok-]");
const unsure = (tile) => tile.querySelector("input[name^=unsure-]");
const field = (tile) => tile.querySelector(".class input");

function show() {
  const wrong = tiles.filter((tile) => !box(tile).checked && !unsure(tile).checked).length;
  count.textContent = wrong ? `${wrong} marked as wrong` : "";
  for (const tile of tiles) {
    tile.querySelector(".verdict").textContent = box(tile).checked ? "right" : unsure(tile).checked ? "not sure" : "wrong";
  }
}

function keepDraft() {
  const marks = Object.fromEntries(tiles.map((t) => [t.dataset.id, [box(t).checked, unsure(t).checked, field(t).value]]));
  Answers.write(DRAFT, { name, marks });
}

function restoreDraft() {
  const draft = Answers.read(DRAFT);
  if (!draft || draft.name !== name) return;
  for (const tile of tiles) {
    const marks = draft.marks[tile.dataset.id];
    if (marks) [box(tile).checked, unsure(tile).checked, field(tile).value] = marks;
  }
}

function change(tile, marked) {
  box(tile).checked = marked;
  if (marked) { field(tile).value = ""; unsure(tile).checked = false; }
  show();
  keepDraft();
}

for (const tile of tiles) {
  box(tile).addEventListener("change", () => change(tile, box(tile).checked));
  unsure(tile).addEventListener("change", () => { show(); keepDraft(); });
  field(tile).addEventListener("input", keepDraft);
  tile.addEventListener("focusin", () => { current = tile; });
  tile.querySelector(".larger").addEventListener("click", () => Zoom.open(tile.querySelector("img")));
}

// -- keys ----------------------------------------------------------------------------------------------------------

function move(steps) {
  const columns = Math.max(1, tiles.filter((t) => t.offsetTop === tiles[0].offsetTop).length);
  const at = tiles.indexOf(current) + ({ up: -columns, down: columns }[steps] || steps);
  if (tiles[at]) box(tiles[at]).focus();
}

function press(tile) {
  if (naming) return field(tile).focus();
  change(tile, !box(tile).checked);
  box(tile).focus();
}

function nameClass() {
  if (box(current).checked) change(current, false);
  field(current).focus();
}

function cannotTell() {
  change(current, false);
  unsure(current).checked = !unsure(current).checked;
  show();
  keepDraft();
}

document.addEventListener("keydown", (event) => {
  if (event.target.matches(".class input:not([type=checkbox])")) return inField(event);
  if (!Keys.may(event) || Keys.typing(event)) return;
  const tile = tiles.find((t) => t.dataset.key === event.key);
  const onControl = event.target.matches("button, a, summary, select");
  const act = tile ? () => press(tile) : {
    ArrowLeft: () => move(-1), ArrowRight: () => move(1), ArrowUp: () => move("up"), ArrowDown: () => move("down"),
    "/": nameClass, "?": cannotTell, "+": () => Zoom.open(current.querySelector("img")),
    u: () => document.getElementById("take-back")?.click(), r: () => document.getElementById("open-again")?.click(),
    ...(onControl ? {} : { Enter: () => form.requestSubmit(document.getElementById("submit")) }) }[event.key];
  if (act) { event.preventDefault(); act(); }
});

function inField(event) {
  // Enter in a class field goes on to the next picture instead of sending the whole form.
  if (event.key === "Escape") box(current).focus();
  if (event.key !== "Enter") return;
  event.preventDefault();
  const next = tiles[tiles.indexOf(event.target.closest(".tile")) + 1];
  (next ? (naming ? field(next) : box(next)) : document.getElementById("submit")).focus();
}

// -- sending -------------------------------------------------------------------------------------------------------

function read(tile) {
  const label = field(tile).value.trim().replace(/\s+/g, " ");
  const said = !box(tile).checked && label ? { label } : box(tile).checked ? { label: form.elements.predicted.value }
    : unsure(tile).checked ? { label: null } : { wrong: true };
  return { prediction_id: tile.dataset.id, ...said };
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (sent) return;
  sent = true;
  const answers = tiles.map(read);
  const named = new Set(tiles.filter((t) => !box(t).checked).map((t) => read(t).label).filter((n) => n));
  const strange = known.size ? [...named].filter((n) => !known.has(n)) : [];
  if (strange.length && !(await NewClass.ask(strange))) {
    sent = false;
    return field(tiles.find((t) => strange.includes(read(t).label))).focus();
  }
  document.getElementById("submit").disabled = true;
  Answers.keep("/review", { ...batch, answers });
});

Answers.onSent((entry, answer) => {
  if (entry.path !== "/review" || Object.keys(batch).some((key) => entry.body[key] !== batch[key])) return;
  if (answer.refused) {
    sent = document.getElementById("submit").disabled = false;
    return;
  }
  Answers.write(DRAFT, null);
  location.assign(`/review?${new URLSearchParams({ ...sample, taken: answer.accepted })}`);
});

const sure = document.getElementById("sure");
sure.checked = Answers.read("trueup-confidence") === true;
sure.addEventListener("change", () => Answers.write("trueup-confidence", sure.checked));
Answers.start();
window.addEventListener("pageshow", (event) => {
  if (event.persisted) sent = document.getElementById("submit").disabled = false;
  restoreDraft();
  show();
});
