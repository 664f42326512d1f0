/* The settings of a field in a drawer, and beside them the form as editors would see it, drawn anew while people type. */

import { ask } from "./ask.js";
import { closing, openDialog } from "./dialogs.js";
import { announce, h } from "./dom.js";
import { enhanceWithin } from "./enhance.js";
import { followsName } from "./keys.js";
import { fragment } from "./markup.js";

const WAIT = 350; // milliseconds without a key
let settled = Promise.resolve();

/**
 * Resolve when no drawer is open, and the settings stand in their row again as the server draws it. Rejects as `ask` does
 * when the server did not draw it: a save that waits for it is refused with it.
 */
export function afterDrawer() {
  return settled;
}

/**
 * Open the settings of a row. They stay inside of `form` while they are in the drawer, so that a save holds them.
 * `redraw(row)` puts the row as it is typed now in the place of the present one.
 */
export function openDrawer(row, { form, focus, others, redraw }) {
  // A form of its own, so that nothing that is tried in the preview is ever sent with the collection.
  const preview = h("form", { class: "qk-model-preview", "aria-label": "Preview of the form", onsubmit: (event) => event.preventDefault() });
  const side = h("section", { class: "qk-model-side" }, h("h3", {}, "What editors see"), preview);
  const left = h("div", { class: "qk-model-settings" }, row.querySelector(".qk-model-body"));
  const dialog = openDialog({
    title: row.dataset.name,
    body: h("div", { class: "qk-model-sides" }, left, side),
    actions: [closing("Done", "done", { isDefault: true }), h("span", { class: "qk-quiet" }, "Nothing is stored until you save the collection.")],
    className: "qk-drawer qk-model-drawer",
    parent: form,
  });
  let settle;
  const own = new Promise((resolve, reject) => {
    settle = { resolve, reject };
  });
  own.catch(() => {}); // nobody may be waiting
  settled = own;
  let timer = 0;
  let present = new AbortController();

  const look = async () => {
    present.abort();
    present = new AbortController();
    const { signal } = present;
    const body = () => {
      const data = new FormData(form);
      data.set("_preview", "1");
      return data;
    };
    try {
      const answer = await ask(location.pathname, { method: "POST", body, signal });
      const shown = answer.ok ? fragment(await answer.text()).querySelector(".qk-model-form") : null;
      if (!shown || signal.aborted) return;
      const key = JSON.parse(shown.dataset.keys)[row.dataset.row];
      const tried = [...preview.querySelectorAll("input[type=text][name], textarea[name]")].filter((input) => input.value !== input.defaultValue);
      preview.replaceChildren(shown);
      for (const { name, value } of tried) {
        const input = shown.querySelector(`[name="${CSS.escape(name)}"]`);
        if (input) input.value = value;
      }
      enhanceWithin(shown);
      const chosen = shown.querySelector(`[id="${CSS.escape(`field-${key}`)}"]`);
      chosen?.classList.add("qk-chosen");
      // Only the preview scrolls: what somebody types in must stay where it is.
      if (chosen) preview.scrollTop += chosen.getBoundingClientRect().top - preview.getBoundingClientRect().top - 40;
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
    }
  };
  const prepare = () => {
    const [label, key] = ["label", "key"].map((name) => left.querySelector(`[name="field-${row.dataset.row}-${name}"]`));
    if (!row.hasAttribute("data-stored") && !key.value) followsName(key, label, others);
    key.addEventListener("change", () => {
      if (row.hasAttribute("data-stored")) announce("Clients of the API know this field by its key.");
    });
  };
  left.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, WAIT);
  });
  // Another type has other options: the server draws the settings anew, with what is typed.
  let drawing = Promise.resolve();
  left.addEventListener("change", ({ target: { name } }) => {
    if (/-(?:type|condition_field)$/u.test(name)) drawing = drawAnew(name);
  });
  const drawAnew = async (name) => {
    const before = row;
    row = await redraw(row);
    if (row === before || !dialog.open) return;
    left.replaceChildren(row.querySelector(".qk-model-body"));
    prepare();
    left.querySelector(`[name="${CSS.escape(name)}"]`)?.focus();
    look();
  };
  left.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("input:not([type=checkbox], [type=radio])")) return;
    event.preventDefault();
    dialog.close("done");
  });
  dialog.addEventListener("close", async () => {
    clearTimeout(timer);
    present.abort();
    row.querySelector("details").append(...left.childNodes);
    try {
      await drawing;
      const fresh = await redraw(row);
      fresh.querySelector(".qk-model-head > .qk-model-line")?.focus();
      settle.resolve();
    } catch (error) {
      if (settled === own) settled = Promise.resolve(); // the next save asks for itself
      settle.reject(error);
      if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
    }
  });
  prepare();
  look();
  (focus ?? left.querySelector(`[name="field-${row.dataset.row}-label"]`)).focus();
}
