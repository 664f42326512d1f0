/* Signing in again without leaving the page, by the very pages that people sign in with. */

import { openDialog } from "./dialogs.js";
import { h } from "./dom.js";
import { page } from "./markup.js";
import { passkeys } from "../../../accounts/js/passkeys.js";

const DOOR = "/admin/login/";
let present = null; // one dialog, however many questions wait for it

/** Resolve when the same person has signed in again; reject with AbortError when they would not. */
export function signInAgain() {
  present ??= ask().finally(() => {
    present = null;
  });
  return present;
}

function person() {
  return document.querySelector("meta[name=qk-person]")?.content ?? "";
}

async function ask() {
  let shown = await read(await fetch(DOOR));
  if (isDone(shown)) return;
  const body = h("div", { class: "qk-sign-in" });
  const dialog = openDialog({ title: "Sign in again", body });
  const said = h("p", {}, "Your session has ended. Nothing that you typed is lost: sign in, and it goes on.");
  const draw = () => {
    const form = document.importNode(shown.querySelector("#login-form"), true);
    const email = form.querySelector("[name=email]");
    if (email && person()) {
      email.value = person();
      email.readOnly = true;
    }
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const answer = await fetch(new URL(shown.address, location.origin), { method: "POST", body: new FormData(form) });
      shown = await read(answer);
      if (isDone(shown)) dialog.close("done");
      else if (shown.querySelector("#login-form")) draw();
      else said.textContent = "Signing in did not work here. Sign in in another tab, then try again.";
    });
    body.replaceChildren(said, form);
    passkeys(body);
    form.querySelector("input:not([type=hidden], [readonly])")?.focus();
  };
  draw();
  if ((await dialog.answered) !== "done") throw new DOMException("Not signed in.", "AbortError");
}

async function read(answer) {
  const shown = page(await answer.text());
  shown.address = new URL(answer.url).pathname;
  return shown;
}

/** Tell whether a page is one of somebody who is signed in; then this page goes on with its token. */
function isDone(shown) {
  const who = shown.querySelector("meta[name=qk-person]")?.content;
  if (!who) return false;
  if (person() && who !== person()) {
    // What was typed here belongs to the other one: it must not be saved in this one's name.
    openDialog({
      title: "Somebody else is signed in",
      body: h("p", {}, `This page belongs to ${person()}, and ${who} is signed in now. Nothing was sent. Sign in as ${person()} in another tab to save it.`),
    });
    throw new DOMException("Somebody else is signed in.", "AbortError");
  }
  const token = shown.querySelector("[name=csrfmiddlewaretoken]")?.value;
  for (const input of document.querySelectorAll("[name=csrfmiddlewaretoken]")) input.value = token;
  return true;
}
