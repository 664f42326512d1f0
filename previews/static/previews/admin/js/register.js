/* The list of this entry's live previews: drawn anew after acts and now and then, and revoked in place. */

import { ask, token } from "../../../content/admin/js/ask.js";
import { announce } from "../../../content/admin/js/dom.js";
import { page, swapIslands } from "../../../content/admin/js/markup.js";
import { draw } from "./countdown.js";

const box = () => document.querySelector("[data-qk-previews]"); // drawn anew by each save
const form = document.querySelector("[data-qk-form]");
const EVERY = 30_000; // milliseconds
let isShut = false;

/** Ask for the list anew. Who writes in the form sees nothing move. */
export async function refresh() {
  if (!box()) return;
  let other;
  try {
    const answer = await fetch(box().dataset.qkPreviews, { headers: { "X-Requested-With": "quillkeep" } });
    if (!answer.ok) return; // signed out: the next act asks
    other = page(await answer.text());
  } catch {
    return; // no connection: the next time
  }
  if (other.querySelector("[data-qk-previews]") && box()) keepingPlace(() => swapIslands(other, box()));
}

function keepingPlace(act) {
  const still = form?.contains(document.activeElement) ? document.activeElement : null;
  const place = still?.getBoundingClientRect().top;
  const hadFocus = box().contains(document.activeElement);
  act();
  show();
  if (hadFocus && !box().contains(document.activeElement)) box().querySelector("summary").focus();
  if (still) window.scrollBy({ top: still.getBoundingClientRect().top - place, behavior: "instant" });
}

function show() {
  const list = box();
  if (!list) return;
  list.hidden = !list.querySelector("li");
  list.open = !isShut;
  draw();
}

/** Ask for the list when another tab has had the time to be opened. */
export function refreshSoon() {
  for (const wait of [1500, 5000]) setTimeout(refresh, wait);
}

/** End a preview without a word; also while the page goes away. */
export function end(url) {
  const body = new FormData();
  body.set("csrfmiddlewaretoken", token());
  return fetch(url, {
    method: "POST", body, keepalive: true, headers: { "X-CSRFToken": token(), "X-Requested-With": "quillkeep" },
  }).catch(() => null);
}

document.addEventListener("submit", async (event) => {
  const sent = event.target.closest("form[data-qk-revoke]");
  if (!sent) return;
  event.preventDefault();
  const { jti } = sent.closest("[data-jti]").dataset;
  try {
    const answer = await ask(sent.action, { method: "POST", body: () => new FormData(sent) });
    announce(answer.ok || answer.status === 404 ? "The preview is over." : "It could not be revoked.");
    if (answer.ok) document.dispatchEvent(new CustomEvent("qk:preview-revoked", { detail: { jti } }));
  } catch {
    announce("It could not be revoked: the server could not be reached.");
  }
  await refresh();
});

const isCalm = () => box() && !document.hidden && !box().hidden && !box().contains(document.activeElement);
setInterval(() => isCalm() && refresh(), EVERY);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
document.addEventListener("qk:saved", show);
document.addEventListener("qk:published", show);
document.addEventListener("qk:over", (event) => event.target.closest("[data-qk-previews]") && setTimeout(refresh, 1000));
document.addEventListener("toggle", (event) => {
  if (event.target === box()) isShut = !event.target.open;
}, true);
