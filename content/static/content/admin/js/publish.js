/* Publishing from the form: saved first, then a dialog that says what is missing and what becomes public. */

import { ask } from "./ask.js";
import { openDialog } from "./dialogs.js";
import { announce } from "./dom.js";
import { enhanceWithin } from "./enhance.js";
import { fieldAt } from "./inside.js";
import { page, swapIslands } from "./markup.js";
import { save, show } from "./save.js";

const form = document.querySelector("[data-qk-form]");
const door = () => document.querySelector("a[data-qk-publish]");
let isBusy = false;

/** Save, then show what publishing would do. */
async function publish() {
  if (isBusy || document.querySelector("dialog[open]")) return;
  isBusy = true;
  try {
    if ((await save()) && door()) await openPublishing();
  } finally {
    isBusy = false;
  }
}

async function openPublishing() {
  const back = document.activeElement;
  const body = document.createElement("div");
  const draw = (shown) => body.replaceChildren(document.importNode(shown.querySelector("#publish_form"), true));
  const first = await ask(door().href);
  if (!first.ok) {
    announce("It can’t be published now.");
    return;
  }
  draw(page(await first.text()));
  const dialog = openDialog({ title: "Publish", body });
  body.querySelector(".submit-row [type=submit]")?.focus();
  body.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sent = event.target;
    if (sent.dataset.sent) return; // a second click
    sent.dataset.sent = "1";
    const answer = await ask(sent.action, { method: "POST", body: () => new FormData(sent) });
    const shown = page(await answer.text());
    if (shown.querySelector("[data-qk-form]")) {
      swapIslands(shown);
      enhanceWithin(document.querySelector("#content-main"));
      announce(document.querySelector("[data-island=messages]")?.textContent.trim() ?? "Published.");
      dialog.close();
      document.dispatchEvent(new CustomEvent("qk:published"));
    } else if (shown.querySelector("#publish_form")) {
      draw(shown);
    } else {
      sent.prepend(shown.querySelector(".errornote") ?? "It can’t be published now.");
      delete sent.dataset.sent;
    }
  });
  body.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    const url = link && new URL(link.href);
    if (link?.matches(".closelink")) {
      event.preventDefault();
      dialog.close();
    } else if (url?.hash && url.pathname === location.pathname && isSameLocale(url)) {
      const field = fieldAt(url.hash, { byPlace: true });
      if (!field) return;
      event.preventDefault();
      dialog.close();
      show(field);
    }
  });
  await dialog.answered;
  if (document.activeElement === document.body) back?.focus?.();
}

function isSameLocale(url) {
  const present = new URLSearchParams(location.search).get("locale");
  return !present || url.searchParams.get("locale") === present;
}

const button = form?.querySelector(".submit-row [name=_publish]");
if (button) {
  if (form.querySelector(".submit-row [name=_save]")) button.value = "Publish…";
  const locales = form.querySelector("[data-island=publish-in]");
  if (locales) locales.hidden = true; // the dialog asks
}
document.addEventListener("click", (event) => {
  if (!form || !event.target.closest(".submit-row [name=_publish], a[data-qk-publish]")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  publish();
}, true);
document.addEventListener("keydown", (event) => {
  // AltGr is Ctrl and Alt together on some keyboards, and types a letter there.
  const isPublish = (event.ctrlKey || event.metaKey) && event.altKey && event.code === "KeyP" && !event.getModifierState("AltGraph");
  if (!form || !isPublish || !(button || door())) return;
  event.preventDefault();
  publish();
});
