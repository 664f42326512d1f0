/* Runs in a page that stands in a drawer: tells the page around it what was typed and saved, and keeps links outside. */

import { changed } from "./dom.js";
import * as dirty from "./dirty.js";

const isFramed = window.parent !== window;

function tell(type, more = {}) {
  window.parent.postMessage({ type, ...more }, location.origin);
}

/** Say which entry a page shows as saved, if it shows one. */
function tellSaved(shown) {
  const entry = shown.querySelector("meta[name=qk-entry]");
  if (entry) tell("qk:saved", { id: entry.content, title: entry.dataset.title, status: entry.dataset.status });
}

/** Return the box of the field that names entries, as the server chooses it: the first text, else other words. */
function titleInput() {
  const of = (type) => document.querySelector(`.qk-field[id^="field-"][data-type="${type}"] :is(input, textarea)`);
  return ["text", "slug", "email", "url", "long_text"].map(of).find(Boolean);
}

function start() {
  window.addEventListener("message", (event) => {
    if (event.origin !== location.origin || event.source !== window.parent) return;
    if (event.data?.type !== "qk:prefill" || typeof event.data.text !== "string") return;
    const input = titleInput();
    if (!input || input.value) return;
    input.value = event.data.text;
    changed(input);
    input.focus();
  });
  tell("qk:ready");
  if (new URLSearchParams(location.search).get("drawer") === "saved") tellSaved(document);

  const form = document.querySelector("[data-qk-form]");
  for (const name of ["input", "change", "qk:dirty"]) {
    form?.addEventListener(name, () => queueMicrotask(() => tell("qk:dirty", { isDirty: dirty.isDirty?.() ?? true })));
  }
  form?.addEventListener("submit", () => tell("qk:dirty", { isDirty: false }));
  document.addEventListener("qk:saved", (event) => {
    tell("qk:dirty", { isDirty: false });
    tellSaved(event.detail?.page ?? document);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open]")) tell("qk:close");
  });
  // Only the pages of this very form can be shown here; everything else opens in a tab of its own.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || link.getAttribute("href").startsWith("#")) return;
    const url = new URL(link.href);
    if (url.pathname === location.pathname) {
      url.searchParams.set("drawer", "1");
      link.href = url.href;
    } else {
      link.target = "_blank";
      link.rel = "noopener";
    }
  }, true);
  document.addEventListener("submit", (event) => {
    if (new URL(event.target.action, location.href).pathname !== location.pathname) event.target.target = "_blank";
  }, true);
}

// When the form is complete: what is filled in earlier would be taken for what is saved, and be lost without a question.
if (isFramed) document.addEventListener("DOMContentLoaded", start);
