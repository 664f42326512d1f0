/* Saving a collection without a page load: what a change does to content is asked first, and nothing typed is lost. */

import { ask } from "./ask.js";
import { closing, openDialog } from "./dialogs.js";
import { announce, h } from "./dom.js";
import { enhanceWithin } from "./enhance.js";
import { page, swapIslands } from "./markup.js";
import { afterDrawer } from "./model-drawer.js";

const form = document.querySelector("[data-qk-model]");
let baseline = "";
let isSaving = false;
let isAskedAgain = false;

function held() {
  const data = new FormData(form);
  data.delete("csrfmiddlewaretoken");
  return JSON.stringify([...data]);
}

/**
 * Save the collection; when that does something to content, only after somebody has agreed. Whoever asks while a save
 * is still on its way is answered by the next one.
 */
export async function save() {
  isAskedAgain = isSaving;
  if (isSaving) return;
  isSaving = true;
  try {
    await afterDrawer();
    if (await send({}) === "asks") await send({ _confirm: "1" });
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
    refuse(error.name === "AbortError" ? "Not saved: you are not signed in." : "Not saved: the server could not be reached.");
  } finally {
    isSaving = false;
  }
  if (isAskedAgain && held() !== baseline) await save();
}

/** Send what is typed and show the answer; "asks" when people have agreed to what it would do to content. */
async function send(more) {
  tell("Saving …");
  const body = () => {
    const data = new FormData(form);
    for (const [name, value] of Object.entries({ _save: "1", ...more })) data.set(name, value);
    return data;
  };
  const answer = await ask(location.pathname, { method: "POST", body });
  const other = page(await answer.text());
  const effects = other.querySelector("[data-effects]");
  if (effects) {
    tell("Not saved yet");
    return await isAgreed(effects) ? "asks" : "";
  }
  if (!other.querySelector("[data-qk-model]")) {
    const said = other.querySelector(".errornote, #content p, main p")?.textContent.trim();
    refuse(`Not saved. ${said ?? `The server answered ${answer.status}.`}`);
    return "";
  }
  swapIslands(other);
  enhanceWithin(document.querySelector("#content-main"));
  document.title = other.title;
  if (answer.ok && answer.redirected) {
    history.replaceState(history.state, "", new URL(answer.url).pathname);
    baseline = held();
    tell(`Saved ${new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`);
    announce(document.querySelector("[data-island=messages]")?.textContent.trim() || "Saved.");
  } else {
    tell("Not saved");
    const note = form.querySelector(".errornote");
    note?.scrollIntoView({ block: "center" });
    note?.querySelector("a")?.focus({ preventScroll: true });
  }
  return "";
}

function isAgreed(effects) {
  isAskedAgain = false;
  const isLoss = "loses" in effects.dataset;
  const dialog = openDialog({
    title: effects.querySelector("h2").textContent,
    body: [...effects.children].filter((child) => child.tagName !== "H2").map((child) => document.importNode(child, true)),
    actions: [
      closing(isLoss ? "Change it, and lose that" : "Change it", "yes", { isDefault: !isLoss, isDangerous: isLoss }),
      closing("Back to the form", ""),
    ],
  });
  return dialog.answered;
}

function refuse(text) {
  tell("Not saved");
  form.querySelector(".errornote")?.remove();
  form.prepend(h("div", { class: "errornote", role: "alert" }, h("p", {}, `${text} Everything that you typed is still here.`)));
}

function tell(text) {
  const state = form.querySelector("[data-qk-state]");
  if (state) state.textContent = text;
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  save();
});
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.key.toLowerCase() !== "s") return;
  event.preventDefault();
  const drawer = document.querySelector(".qk-model-drawer[open]");
  if (!drawer && document.querySelector("dialog[open]")) return;
  drawer?.close("done");
  save();
});
window.addEventListener("beforeunload", (event) => {
  if (held() !== baseline) event.preventDefault();
});
// When every module has arranged its inputs.
window.addEventListener("load", () => {
  baseline = held();
});
