/* Asks before what was typed is lost, and only then. */

import { closing, openDialog } from "./dialogs.js";
import { h } from "./dom.js";
import { isDirty } from "./dirty.js";
import { save } from "./save.js";

const form = document.querySelector("[data-qk-form]");

window.addEventListener("beforeunload", (event) => {
  if (form && !form.dataset.leaving && isDirty()) event.preventDefault();
});
form?.addEventListener("submit", (event) => {
  if (!event.defaultPrevented) form.dataset.leaving = "1";
});
window.addEventListener("pageshow", () => delete form?.dataset.leaving);

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[href]");
  const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.defaultPrevented;
  if (!form || !link || !isPlain || link.target || link.hasAttribute("download")) return;
  const url = new URL(link.href);
  const isHere = url.pathname === location.pathname && url.search === location.search;
  if (url.origin !== location.origin || (isHere && url.hash) || !isDirty()) return;
  event.preventDefault();
  const dialog = openDialog({
    title: "Some changes are not saved",
    body: h("p", {}, "Save them before you go on?"),
    actions: [
      closing("Save and go on", "save", { isDefault: true }),
      closing("Leave without saving", "leave", { isDangerous: true }),
      closing("Stay", ""),
    ],
  });
  const answer = await dialog.answered;
  if (answer === "leave" || (answer === "save" && (await save()))) {
    form.dataset.leaving = "1";
    location.assign(url);
  }
});
