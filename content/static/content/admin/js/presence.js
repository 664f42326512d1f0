/* Tells that this form is open, and shows who else has it open. */

import { isDirty } from "./dirty.js";

const box = document.querySelector("[data-qk-presence]");
const EVERY = 30_000; // milliseconds

async function tell() {
  const url = document.querySelector("[data-island=base] [data-presence]")?.dataset.presence;
  if (!box || !url || document.hidden) return;
  const body = () => {
    const data = new FormData();
    data.set("typing", isDirty() ? "1" : "0");
    return data;
  };
  try {
    const answer = await fetch(url, { method: "POST", body: body(), headers: { "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value, "X-Requested-With": "quillkeep" } });
    if (!answer.ok) return; // signed out: the next save asks
    const { others } = await answer.json();
    const text = others.map(({ name, typing }) => `${name} ${typing ? "is typing here too" : "has this open too"}.`).join(" ");
    if (box.textContent !== text) box.textContent = text;
  } catch {
    // no connection: the next time
  }
}

if (box) {
  setInterval(tell, EVERY);
  document.addEventListener("visibilitychange", tell);
  tell();
}
