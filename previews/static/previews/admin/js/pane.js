/* The site beside the fields: a frame of its origin alone, shown anew after each save. */

import { ask } from "../../../content/admin/js/ask.js";
import { announce, h } from "../../../content/admin/js/dom.js";
import { enhance } from "../../../content/admin/js/enhance.js";
import { save } from "../../../content/admin/js/save.js";
import { count, stop } from "./countdown.js";
import { open as openTab } from "./open.js";
import { end, refresh as refreshList } from "./register.js";
import { follow, known, setWidth } from "./width.js";

const KEY = "quillkeep:pane"; // what this browser remembers: {isOpen, width, site}
const PATIENCE = 1500; // milliseconds from "load" until a page that says nothing is one without the bridge
const LONGEST = 10_000; // milliseconds until a page that was asked to reload itself counts as one that did not
const pane = document.querySelector("[data-qk-pane]");
const part = (name) => pane.querySelector(`[data-qk-pane-${name}]`);
const act = (name) => pane.querySelector(`[data-qk-pane-act=${name}]`);

let live = null; // the preview in the frame: {jti, origin, frame, state: loading|ready|mute, heardAt, isWanted, isOver}
let turn = 0; // what was asked for before another turn is not shown any more

function remembered() {
  try {
    const { isOpen, width, site } = JSON.parse(localStorage.getItem(KEY)) ?? {};
    return { isOpen: isOpen === true, width: known(width), site: typeof site === "string" ? site : "" };
  } catch {
    return { isOpen: false, width: "desktop", site: "" }; // closed storage, or somebody wrote into it
  }
}

function write(what) {
  try {
    localStorage.setItem(KEY, JSON.stringify(what));
  } catch {
    // then it is not remembered
  }
}

function remember() {
  write({ isOpen: !pane.hidden, width: pane.dataset.width, site: part("site").value });
}

function say(text) {
  part("said").textContent = text;
}

/** Hand off to the site: another preview takes the place of the one in the frame, which is over then. */
async function show() {
  const mine = (turn += 1);
  say("Opening the preview …");
  act("renew").hidden = true;
  let answer, told;
  try {
    answer = await ask(pane.dataset.open, { method: "POST", body: asked });
    told = answer.headers.get("Content-Type")?.includes("json") ? await answer.json() : {};
  } catch (error) {
    if (mine === turn) fail(error.name === "AbortError" ? "You are not signed in." : "The server could not be reached.");
    return;
  }
  if (mine !== turn) {
    if (answer.ok) end(addressOf(told.jti));
    return;
  }
  if (!answer.ok) {
    fail(told.detail ?? "This entry can’t be previewed now.");
    return;
  }
  leave();
  frameIt(told);
  say("");
  count(part("left"), told.seconds);
}

function asked() {
  const data = new FormData();
  data.set("entry", pane.dataset.entry);
  data.set("locale", pane.dataset.locale);
  data.set("site", part("site").value);
  return data;
}

function addressOf(jti) {
  return pane.dataset.revoke.replace("00000000-0000-0000-0000-000000000000", encodeURIComponent(jti));
}

function frameIt(told) {
  const site = part("site");
  const name = site.selectedOptions?.[0]?.text ?? site.dataset.name;
  const frame = h("iframe", {
    name: `qk-pane-${turn}`, title: `Preview on ${name}`, sandbox: "allow-scripts allow-same-origin", referrerpolicy: "no-referrer",
  });
  part("stage").replaceChildren(frame);
  live = { jti: told.jti, origin: told.origin, frame, state: "loading", heardAt: 0, isWanted: false, isOver: false };
  const mine = live;
  frame.addEventListener("load", () => {
    if (live !== mine) return;
    refreshList();
    const since = Date.now() - 1000; // a page says that it is ready about when it is loaded, also one that people go on to
    setTimeout(() => mine.heardAt < since && isMute(mine, mine.isWanted), PATIENCE);
  });
  if (told.response_mode === "form_post") {
    const form = h("form", { method: "post", action: told.url, target: frame.name, hidden: true },
      h("input", { type: "hidden", name: "code", value: told.code }));
    document.body.append(form);
    form.submit();
    form.remove();
  } else {
    frame.contentWindow.location.replace(told.url); // so the code stands in no attribute, and in no history
  }
}

/** Say why nothing is shown; "Renew" tries again. */
function fail(text) {
  say(text);
  act("renew").hidden = false;
}

/** Take the frame away; its preview is over. */
function leave() {
  if (live && !live.isOver) end(addressOf(live.jti)).then(refreshList);
  live = null;
  part("stage").replaceChildren();
  stop(part("left"));
}

/** After a save: the page reloads itself and keeps its place; a page without the bridge is handed off to again. */
function refresh() {
  if (pane.hidden) return;
  if (!live || live.isOver || live.state === "mute") show();
  else if (live.state === "loading") live.isWanted = true;
  else tellPage();
}

function isMute(mine, isWanted) {
  if (live !== mine || mine.isOver) return;
  mine.state = "mute";
  if (isWanted) show();
  else say("This page doesn’t tell when it is ready. If nothing is to be seen, the site lets nobody frame it: open it in a new tab.");
}

function tellPage() {
  const mine = live;
  const asked = Date.now();
  live.state = "loading"; // until it says that it is ready again
  live.isWanted = false;
  setTimeout(() => mine.heardAt < asked && mine.state === "loading" && isMute(mine, true), LONGEST);
  live.frame.contentWindow.postMessage({ type: "quillkeep:refresh" }, live.origin);
}

function hear(event) {
  if (!live || event.origin !== live.origin || event.source !== live.frame.contentWindow) return;
  if (event.data?.type !== "quillkeep:ready") return;
  live.state = "ready";
  live.heardAt = Date.now();
  if (live.isWanted) tellPage();
}

function isOver() {
  if (!live || live.isOver) return;
  live.isOver = true;
  stop(part("left"));
  fail("This preview is over. What is seen here is not up to date any more.");
}

function setOpen(isOpen, { isAsked = false } = {}) {
  pane.hidden = !isOpen;
  document.querySelector("#content-main").classList.toggle("qk-beside", isOpen);
  for (const button of document.querySelectorAll("[data-qk-beside]")) button.setAttribute("aria-pressed", String(isOpen));
  if (isOpen) show();
  else {
    turn += 1;
    leave();
    say("");
  }
  if (!isAsked) return;
  remember();
  announce(isOpen ? "The preview stands beside the fields." : "The pane is closed.");
  if (isOpen && matchMedia("(max-width: 1099px)").matches) pane.scrollIntoView({ block: "nearest" });
  if (!isOpen) document.querySelector("[data-qk-beside]")?.focus();
}

/** The page is still that of a new entry, which may frame nobody: it is shown anew, as that of the entry. */
async function openOnNextPage() {
  if (!(await save())) return;
  write({ ...remembered(), isOpen: true });
  location.reload();
}

const ACTS = {
  renew: show,
  reload: () => (live?.state === "ready" && !live.isOver ? tellPage() : show()),
  tab: () => openTab(part("site").value),
  close: () => setOpen(false, { isAsked: true }),
};

if (pane) {
  const was = remembered();
  const site = part("site");
  if ([...(site.options ?? [])].some((option) => option.value === was.site)) site.value = was.site;
  setWidth(pane, part("stage"), was.width);
  follow(pane, part("stage"));

  pane.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.qkPaneAct) ACTS[button.dataset.qkPaneAct]();
    if (button?.dataset.qkWidth) {
      setWidth(pane, part("stage"), known(button.dataset.qkWidth));
      remember();
    }
  });
  site.addEventListener("change", () => {
    remember();
    show();
  });
  pane.addEventListener("qk:over", isOver);
  document.addEventListener("qk:preview-revoked", (event) => {
    if (event.detail.jti === live?.jti) isOver();
  });
  document.addEventListener("qk:saved", refresh);
  window.addEventListener("message", hear);
  window.addEventListener("pagehide", () => {
    if (live && !live.isOver) end(addressOf(live.jti));
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted && !pane.hidden) show();
  });
  if (was.isOpen) setOpen(true);
}

// The head is drawn anew by each save, and the button with it.
enhance("[data-qk-beside]", (button) => {
  button.hidden = false;
  button.setAttribute("aria-pressed", String(pane ? !pane.hidden : false));
  button.addEventListener("click", () => (pane ? setOpen(pane.hidden, { isAsked: true }) : openOnNextPage()));
});
