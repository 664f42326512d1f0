/* Saves without a page load: caret, scroll and what is typed meanwhile stay. The server's page is the only rendering. */

import { ask } from "./ask.js";
import { announce, button, h } from "./dom.js";
import { enhanceWithin } from "./enhance.js";
import * as dirty from "./dirty.js";
import { page, swapIslands } from "./markup.js";
import { fieldAt } from "./inside.js";
import { whatIsTooLarge } from "./size.js";

const form = document.querySelector("[data-qk-form]");
const RELOADED = "qk:saved-and-reloaded"; // said again on the page that comes
let present = null; // the save that is on its way

/** Save the draft, or press another button of the form. Resolves to true when it is stored. */
export function save(submitter = form?.querySelector(".submit-row [name=_save]")) {
  if (!form || !submitter) return Promise.resolve(true); // nothing that may be saved here
  present ??= send(submitter).finally(() => {
    present = null;
  });
  return present;
}

async function send(submitter) {
  const sent = dirty.snapshot();
  const typed = values();
  tell("Saving …");
  document.dispatchEvent(new CustomEvent("qk:saving")); // `qk:saved` or `qk:refused` follows, or another page
  const body = () => {
    const data = new FormData(form);
    data.set(submitter.name, submitter.value);
    return data;
  };
  const large = await whatIsTooLarge(form, body());
  if (large) {
    failed(`Not saved. ${large.text}`);
    if (large.field) {
      large.field.querySelector(":scope > .qk-notes").prepend(h("ul", { class: "errorlist" }, h("li", {}, large.detail)));
      show(large.field);
    }
    return false;
  }
  let answer, other;
  try {
    answer = await ask(form.action, { method: "POST", body });
    other = page(await answer.text());
  } catch (error) {
    return failed(
      error.name === "AbortError" ? "Not saved: you are not signed in." : "Not saved: the server could not be reached.",
    );
  }
  if (other.querySelector("[data-stale]")) {
    // Choosing by field needs the whole form anew: the same is sent once more, and its page shown.
    form.dataset.leaving = "1";
    form.requestSubmit(submitter);
    return false;
  }
  if (!other.querySelector("[data-qk-form]")) {
    if (answer.status === 404) return failed("Not saved: this entry, or its collection, is not here any more, or you may not see it now.");
    const said = other.querySelector(".errornote, #content p, main p")?.textContent.trim();
    return failed(`Not saved. ${said ?? `The server answered ${answer.status}.`}`);
  }
  const isStored = answer.ok && answer.redirected;
  const idle = new Set([...dirty.snapshot()].filter(([key, text]) => sent.get(key) === text).map(([key]) => key));
  const sight = inSight();
  const place = sight.getBoundingClientRect().top;
  swapIslands(other);
  if (isStored) forgetFaultsInside();
  enhanceWithin(document.querySelector("#content-main"));
  followInputs(other, typed, isStored);
  window.scrollBy({ top: sight.getBoundingClientRect().top - place, behavior: "instant" });
  if (isStored) {
    const url = new URL(answer.url);
    url.searchParams.delete("missing");
    if (url.searchParams.get("drawer")) url.searchParams.set("drawer", "1");
    form.action = url.href;
    if (url.href !== location.href) history.replaceState(history.state, "", url.pathname + url.search + location.hash);
    document.title = other.title;
    if (haveFieldsChanged(other) && idle.size === sent.size) {
      // The collection has other fields now. Everything is saved, so the page is shown anew.
      form.dataset.leaving = "1";
      sessionStorage.setItem(RELOADED, "1");
      location.reload();
      return true;
    }
    const now = [...dirty.snapshot()];
    dirty.rebase(null, new Map(now.map(([key, text]) => [key, idle.has(key) ? text : sent.get(key)])));
  }
  const faults = document.querySelectorAll(".qk-notes .errorlist").length;
  const clock = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  tell(isStored ? `Saved ${clock}` : "Not saved");
  announce(
    document.querySelector("[data-island=messages]")?.textContent.trim() ||
      (isStored ? "Saved." : `Not saved: ${faults} ${faults === 1 ? "field" : "fields"} to look at.`),
  );
  document.dispatchEvent(new CustomEvent(isStored ? "qk:saved" : "qk:refused", { detail: { page: other } }));
  if (faults && (!isStored || submitter.name === "_publish")) goToFirstFault();
  return isStored;
}

/** Return what must not move: where people write, or the first field that they see. The bar of buttons never moves. */
function inSight() {
  const active = document.activeElement;
  if (form.contains(active) && active.closest(".qk-field")) return active;
  return [...form.querySelectorAll('.qk-field[id^="field-"]')].find((field) => field.checkVisibility() && field.getBoundingClientRect().bottom > 0) ?? form;
}

/** A saved part has no faults; and it may have another number on the server's page, so its island is not found there. */
function forgetFaultsInside() {
  for (const notes of form.querySelectorAll(".qk-part .qk-notes")) notes.replaceChildren();
  for (const input of form.querySelectorAll(".qk-part [aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    const kept = (input.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id && !id.endsWith("-errors"));
    if (kept.length) input.setAttribute("aria-describedby", kept.join(" "));
    else input.removeAttribute("aria-describedby");
  }
}

/** Tell whether the server's page has other fields, or fields of another type, than the form here. */
function haveFieldsChanged(other) {
  const fields = (root) => [...root.querySelectorAll('.qk-field[id^="field-"]')].map((row) => `${row.dataset.key}:${row.dataset.type}`).join();
  return fields(form) !== fields(other.querySelector("[data-qk-form]"));
}

/** Return the values of plain inputs by name. */
function values(root = form) {
  const found = new Map();
  for (const input of root.querySelectorAll("input[name]:not([type=checkbox], [type=radio], [type=submit]), textarea[name], select[name]:not([multiple])")) {
    found.set(input.name, input.value);
  }
  return found;
}

/** What the server wrote another way (a slug that was made, say) comes into inputs that nobody touched meanwhile. */
function followInputs(other, typed, isStored) {
  const theirs = new Map([...other.querySelector("[data-qk-form]").querySelectorAll("[name]")].reverse().map((twin) => [twin.name, twin]));
  for (const input of form.querySelectorAll("[name]")) {
    const twin = theirs.get(input.name);
    if (!twin) continue;
    for (const name of ["aria-invalid", "aria-describedby"]) {
      if (twin.hasAttribute(name)) input.setAttribute(name, twin.getAttribute(name));
      else input.removeAttribute(name);
    }
    const isPlain = input.matches("input[type=text], input:not([type]), input[type=url], input[type=email], input[type=number]");
    const isTop = !/-\d+-/u.test(input.name) && !input.name.startsWith("_");
    const isIdle = typed.get(input.name) === input.value && input !== document.activeElement;
    if (isStored && isPlain && isTop && isIdle && twin.value !== input.value) {
      input.value = twin.value;
    }
  }
}

/** Say what keeps the form from being saved, on top and beside the button; nothing that was typed is touched. */
function failed(text) {
  tell(text);
  const notes = document.querySelector("[data-island=notes]");
  notes.replaceChildren(
    h("div", { class: "errornote", role: "alert" }, h("p", {}, text, " Everything that you typed is still here. "),
      button("Try again", () => save(), { class: "qk-button" })),
  );
  document.dispatchEvent(new CustomEvent("qk:refused", { detail: {} }));
  return false;
}

function tell(text) {
  const state = form.querySelector("[data-qk-state]");
  if (state) state.textContent = text;
}

/** Focus the first input that something is wrong with, wherever it stands. */
export function goToFirstFault() {
  const first = document.querySelector(".qk-notes .errorlist")?.closest(".qk-field");
  if (first) show(first);
}

/** Bring a field into sight, in whatever tab or part it stands, and focus it. */
export function show(field) {
  field.dispatchEvent(new CustomEvent("qk:show", { bubbles: true }));
  const input = field.querySelector('[contenteditable="true"], .qk-control :is(input, select, textarea, button):not([type=hidden])');
  (input ?? field).focus({ preventScroll: true });
  field.scrollIntoView({ block: "center" });
}

form?.addEventListener("submit", (event) => {
  const submitter = event.submitter ?? form.querySelector(".submit-row [name=_save]");
  if (form.dataset.leaving || !["_save", "_publish"].includes(submitter?.name)) return;
  event.preventDefault();
  save(submitter);
});

document.addEventListener("keydown", (event) => {
  const isSave = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "s";
  if (!form || !isSave) return;
  event.preventDefault();
  if (!document.querySelector("dialog[open]")) save();
});

// The links of the summary lead to fields, also to those in another tab.
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#field-"], a[href^="#at-"]');
  const field = link && fieldAt(link.hash);
  if (!field) return;
  event.preventDefault();
  show(field);
});

form?.setAttribute("action", location.pathname + location.search);
dirty.start();
if (form && sessionStorage.getItem(RELOADED)) {
  sessionStorage.removeItem(RELOADED);
  tell("Saved. The collection has other fields now.");
}
if (document.querySelector(".qk-notes .errorlist")) goToFirstFault();
