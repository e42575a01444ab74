// What the audit and the review page share: answers that are kept in the browser until the service has them, sent again
// under the same label ids; keys that can be switched off; a picture larger; a question before a new class is made.
"use strict";

const Answers = (() => {
  const KEPT = "trueup-answers";
  const memory = {}; // where a browser keeps nothing
  const read = (name) => { try { return JSON.parse(localStorage.getItem(name)) ?? memory[name] ?? null; } catch { return memory[name] ?? null; } };
  const write = (name, value) => {
    try {
      if (value === null) localStorage.removeItem(name);
      else localStorage.setItem(name, JSON.stringify(value));
      delete memory[name];
    } catch {
      memory[name] = value;
    }
  };
  const list = () => read(KEPT) || [];
  const listeners = [];
  let wait = 1, timer = null, running = false, away = "";

  function makeId() { // UUIDv7
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    let now = Date.now();
    for (let i = 5; i >= 0; i--) { bytes[i] = now % 256; now = Math.floor(now / 256); }
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    const hex = [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  function keep(path, body) {
    const answers = body.answers.map((answer) => ({ ...answer, label_id: makeId() }));
    write(KEPT, [...list(), { id: makeId(), path, body: { ...body, answers } }]);
    return send();
  }

  const change = (id, entry) => write(KEPT, list().flatMap((e) => (e.id !== id ? [e] : entry ? [entry] : [])));

  async function send() {
    clearTimeout(timer);
    if (running) return;
    running = true;
    show();
    try {
      // Of several tabs one sends at a time, so that nothing overtakes what was said before it.
      if (navigator.locks) await navigator.locks.request(KEPT, sendAll);
      else await sendAll();
    } finally {
      running = false;
      show();
    }
    if (list().some((e) => !e.refused)) {
      if (!away) return send(); // came while the last one was sent
      timer = setTimeout(send, 1000 * wait);
      wait = Math.min(2 * wait, 30);
    }
  }

  async function sendAll() {
    for (let entry; (entry = list().find((e) => !e.refused)); ) {
      const answer = await post(entry);
      away = answer.away;
      if (away) return;
      wait = 1;
      change(entry.id, answer.refused ? { ...entry, refused: answer.refused } : null);
      listeners.forEach((tell) => tell(entry, answer));
    }
  }

  async function post(entry) {
    try {
      const response = await fetch(entry.path, { method: "POST", body: JSON.stringify(entry.body), keepalive: true, headers: {
        "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": document.querySelector("meta[name=csrf]").content } });
      const document_ = await response.json().catch(() => ({}));
      if (response.ok) return { accepted: document_.accepted };
      const message = (document_.error && document_.error.message) || `The service answered ${response.status}.`;
      if (document_.error && document_.error.code === "csrf") return { away: "This page is of an earlier session: reload it." };
      if (response.status === 401) return { away: "You are logged out. Log in on another tab, then reload this page." };
      if (response.status >= 500 || [408, 425, 429].includes(response.status)) return { away: message };
      return { refused: message };
    } catch {
      return { away: "The service cannot be reached." };
    }
  }

  function show() {
    const place = document.getElementById("sending");
    if (!place) return;
    const waiting = list().filter((e) => !e.refused).length, refused = list().filter((e) => e.refused);
    place.hidden = !refused.length && !(waiting && away);
    const text = waiting && away ? `${away} ${waiting} answer${waiting === 1 ? " is" : "s are"} kept in this browser and sent as soon as it can be. `
      : refused.length ? `${refused.length} answer${refused.length === 1 ? " was" : "s were"} refused: ${refused[0].refused} ` : "";
    if (place.firstElementChild.textContent !== text) place.firstElementChild.textContent = text;
    place.querySelector("#again").hidden = !text;
    place.querySelector("#discard").hidden = !refused.length;
  }

  function start() {
    const place = document.getElementById("sending");
    place.querySelector("#again").addEventListener("click", () => {
      list().forEach((e) => change(e.id, { ...e, refused: undefined }));
      send();
    });
    place.querySelector("#discard").addEventListener("click", () => { write(KEPT, list().filter((e) => !e.refused)); show(); });
    window.addEventListener("online", send);
    window.addEventListener("pageshow", send);
    show();
  }

  // Which sample a form is about; `of`: what it is drawn from, where that is not the live predictions.
  const readSample = ({ elements }) => Object.fromEntries(
    ["model", "day", "of"].filter((field) => elements[field]).map((field) => [field, elements[field].value]));

  return { keep, list, read, readSample, write, start, onSent: (tell) => listeners.push(tell), waiting: () => list().some((e) => !e.refused) };
})();

const Keys = (() => { // single characters answer only while the person wants them to (WCAG 2.1.4)
  const box = document.getElementById("keys-on");
  box.checked = Answers.read("trueup-keys") !== false;
  box.addEventListener("change", () => { Answers.write("trueup-keys", box.checked); document.body.classList.toggle("no-keys", !box.checked); });
  document.body.classList.toggle("no-keys", !box.checked);
  const taken = (event) => event.ctrlKey || event.metaKey || event.altKey || event.repeat || document.querySelector("dialog[open]");
  return { may: (event) => box.checked && !taken(event), typing: (event) => event.target.matches("input:not([type=checkbox]), select, textarea") };
})();

const Zoom = (() => {
  const dialog = document.getElementById("zoom"), picture = dialog.querySelector("img");
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => { if (event.key === "+") { event.preventDefault(); event.stopPropagation(); dialog.close(); } });
  return { open: (image) => { picture.src = image.src; picture.alt = image.alt; dialog.showModal(); } };
})();

const NewClass = (() => { // resolves to whether the class is to be made
  const dialog = document.getElementById("new-class");
  return { ask: (names) => new Promise((resolve) => {
    dialog.querySelector("bdi").textContent = names.join(", ");
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "make"), { once: true });
    dialog.showModal();
    dialog.querySelector("[value=make]").focus();
  }) };
})();

(() => { // until when the batch is held
  const held = document.getElementById("held");
  function count() {
    const minutes = Math.ceil((Date.parse(held.dataset.until) - Date.now()) / 60000);
    held.textContent = minutes > 0 ? `Held for you for ${minutes} minute${minutes === 1 ? "" : "s"} more.`
      : "Others may get these pictures now; what you answer still counts.";
  }
  count();
  setInterval(count, 20000);
})();
