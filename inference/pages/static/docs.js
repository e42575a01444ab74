// Sends what stands in a route's form, with the key of the page or the session's token, and shows what came.
"use strict";

const csrf = document.querySelector("meta[name=csrf]").content;
const LONGEST = 20000; // characters of an answer that are shown

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function collect(form) {
  const query = new URLSearchParams();
  const key = document.getElementById("key").value.trim();
  const headers = { Accept: "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  else if (csrf) headers["X-CSRF-Token"] = csrf;
  for (const input of form.querySelectorAll("input[data-in]")) {
    if (!input.value) continue;
    if (input.dataset.in === "header") headers[input.name] = input.value;
    else query.append(input.name, input.value);
  }
  const file = form.querySelector("input[type=file]");
  const text = form.querySelector("textarea");
  if (file) headers["Content-Type"] = file.files[0].type || "application/octet-stream";
  if (text) headers["Content-Type"] = "application/json";
  const body = file ? file.files[0] : text ? text.value : undefined;
  const asked = query.toString();
  return [form.dataset.path + (asked ? `?${asked}` : ""), { method: form.dataset.method, headers, body, credentials: key ? "omit" : "same-origin" }];
}

function write(text, type) {
  if (!type.includes("json")) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 1);
  } catch {
    return text;
  }
}

// What was answered to a picture is what the next label is about.
function remember(text) {
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    return;
  }
  for (const area of answer.prediction_id ? document.querySelectorAll(".try textarea") : []) {
    area.value = area.value.replace(/("prediction_id": ")[^"]*"/, `$1${answer.prediction_id}"`);
  }
}

async function send(form) {
  const place = form.querySelector(".answer");
  const button = form.querySelector("button");
  place.replaceChildren(element("p", "hint", "Sending …"));
  button.disabled = true;
  try {
    const [address, request] = collect(form);
    const began = performance.now();
    const response = await fetch(address, request);
    const text = await response.text();
    const took = Math.round(performance.now() - began);
    const shown = write(text, response.headers.get("content-type") || "");
    const pre = element("pre", "wrap", shown.length > LONGEST ? `${shown.slice(0, LONGEST)}\n…` : shown);
    pre.tabIndex = 0;
    pre.setAttribute("role", "group");
    pre.setAttribute("aria-label", "The answer");
    place.replaceChildren(element("p", response.ok ? "went" : "error", `${response.status} in ${took} ms`), pre);
    if (response.ok) remember(text);
  } catch (error) {
    place.replaceChildren(element("p", "error", `Nothing came back: ${error.message}`));
  } finally {
    button.disabled = false;
  }
}

for (const form of document.querySelectorAll(".try form")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}
