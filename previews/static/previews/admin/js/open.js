/* The Preview button: what is not saved is saved first, then the preview opens in a tab of its own. */

import { isDirty } from "../../../content/admin/js/dirty.js";
import { announce, h } from "../../../content/admin/js/dom.js";
import { save } from "../../../content/admin/js/save.js";
import { refreshSoon } from "./register.js";

const control = () => document.querySelector("form[data-qk-preview]");
let number = 0;

/** Open the preview on a site, as its button does. */
export function open(site) {
  const button = control()?.querySelector(`[name=site][value="${CSS.escape(site)}"]`);
  if (button) control().requestSubmit(button);
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-qk-preview]")) return;
  closeMenu();
  if (!isDirty()) {
    announce("Opening the preview."); // the browser sends the form itself, into a new tab that knows nothing of this one
    refreshSoon();
    return;
  }
  event.preventDefault();
  const site = event.submitter?.value ?? form.querySelector("[name=site]").value;
  // Opened while the click counts; a tab that is opened after the save would be kept back as a pop-up.
  const tab = window.open("about:blank", `qk-preview-${(number += 1)}-${Date.now()}`);
  say(tab);
  const isSaved = await save();
  const fresh = control(); // the head was drawn anew
  if (!isSaved || !fresh) {
    tab?.close();
    if (isSaved) tell("Saved. It can’t be previewed now.");
  } else if (!tab) {
    tell("Saved. The browser kept the new tab back: press Preview again.");
  } else if (tab.closed) {
    tell("Saved. The tab of the preview was closed.");
  } else {
    send(fresh, site, tab);
    tell("Saved, opening the preview.");
    refreshSoon();
  }
});

function send(fresh, site, tab) {
  const inputs = [...new FormData(fresh)].filter(([name]) => name !== "site").concat([["site", site]]);
  const sent = h("form", { method: "post", action: fresh.action, target: tab.name, hidden: true },
    inputs.map(([name, value]) => h("input", { type: "hidden", name, value })));
  document.body.append(sent);
  sent.submit();
  tab.opener = null; // the site must not know of this page; its browsing context group is another one too (COOP)
  setTimeout(() => sent.remove(), 1000);
}

/** Say in the tab why it is empty. */
function say(tab) {
  if (!tab) return;
  tab.document.title = "Preview";
  tab.document.body.append("Saving first … If this takes long, look at the entry: it may ask you something.");
}

function tell(text) {
  const state = document.querySelector("[data-qk-state]");
  if (state) state.textContent = text;
  announce(text);
}

function closeMenu() {
  for (const menu of document.querySelectorAll(".qk-handoff-sites[open]")) menu.open = false;
}

document.addEventListener("click", (event) => {
  if (!event.target.closest(".qk-handoff-sites")) closeMenu();
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && event.target.closest?.(".qk-handoff-sites[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
