/* Components and blocks: added from a picker, ordered, folded, duplicated, removed and brought back, without a page load. */

import { ask } from "./ask.js";
import { chooseFrom } from "./choosing.js";
import { announce, button, changed, h } from "./dom.js";
import { rebase } from "./dirty.js";
import { enhance, enhanceWithin } from "./enhance.js";
import { fragment } from "./markup.js";
import { makeSortable } from "./order.js";
import { here } from "./questions.js";

enhance(".qk-parts", (box) => {
  const list = box.querySelector(":scope > .qk-part-list");
  const add = box.querySelector(":scope > .qk-add");
  if (!list || !add) return; // a single component has nothing to arrange
  const select = add.querySelector("select");
  for (const plain of add.children) plain.hidden = true;
  add.append(button("Add", () => pick(box, select), { icon: "plus", class: "qk-button" }));
  makeSortable(list, { item: ".qk-part", handle: ".qk-grip", onMoved: () => renumber(box), nameOf: (part) => part.dataset.label });
  const fold = button("Fold all", () => {
    const parts = [...list.children].filter((part) => part.matches(".qk-part"));
    const isAny = parts.some((part) => !part.matches(".qk-folded"));
    for (const part of parts) foldPart(part, isAny);
    fold.textContent = isAny ? "Unfold all" : "Fold all";
  }, { class: "qk-button qk-button-quiet" });
  add.append(fold);
  renumber(box, { quietly: true });
});

enhance(".qk-part[data-number]", (part) => {
  const tools = part.querySelector(":scope > .qk-part-tools");
  const legend = part.querySelector(":scope > legend");
  const label = part.dataset.label;
  for (const plain of tools.children) plain.hidden = true;
  legend.classList.add("visually-hidden");
  const summary = h("span", { class: "qk-part-summary", dir: "auto" });
  tools.prepend(
    button("", () => announce("Use the arrow keys to move it."), { icon: "grip-vertical", class: "qk-icon-button qk-grip", "aria-label": `Move ${label}`, title: "Drag, or use the arrow keys" }),
    button("", () => foldPart(part, !part.matches(".qk-folded")), { icon: "chevron-down", class: "qk-icon-button qk-fold", "aria-expanded": "true", "aria-label": `Fold ${label}` }),
    h("strong", { class: "qk-part-name" }, label), summary,
    h("span", { class: "qk-part-acts" },
      button("", () => move(part, -1), { icon: "arrow-up", class: "qk-icon-button", "aria-label": `Move ${label} up` }),
      button("", () => move(part, 1), { icon: "arrow-down", class: "qk-icon-button", "aria-label": `Move ${label} down` }),
      button("", () => duplicate(part), { icon: "copy", class: "qk-icon-button", "aria-label": `Duplicate ${label}` }),
      button("", () => remove(part, true), { icon: "trash-2", class: "qk-icon-button", "aria-label": `Remove ${label}` })),
  );
  part.addEventListener("qk:show", () => foldPart(part, false));
  // From now on it is laid out always: going back would show it for a moment at the height that it had before.
  part.addEventListener("focusin", () => part.classList.add("qk-visited"), { once: true });
  if (part.querySelector(":scope > .qk-part-tools .qk-delete input").checked) remove(part, true, { quietly: true });
});

function foldPart(part, isFolded) {
  part.classList.toggle("qk-folded", isFolded);
  part.querySelector(":scope > .qk-part-body").hidden = isFolded;
  part.querySelector(":scope > .qk-part-tools > .qk-fold").setAttribute("aria-expanded", String(!isFolded));
  const words = [...part.querySelectorAll(':scope > .qk-part-body :is(input[type="text"], textarea, [contenteditable])')]
    .map((input) => (input.value ?? input.textContent).trim()).find(Boolean);
  part.querySelector(":scope > .qk-part-tools > .qk-part-summary").textContent = isFolded ? (words ?? "").slice(0, 80) : "";
}

function parts(box) {
  return [...box.querySelectorAll(":scope > .qk-part-list > .qk-part")];
}

/** Write the places of the parts into the numbers that are sent. */
function renumber(box, { quietly = false } = {}) {
  let input = null;
  parts(box).forEach((part, index) => {
    input = part.querySelector(":scope > .qk-part-tools > .qk-order");
    input.value = String(index + 1);
  });
  if (input && !quietly) changed(input);
}

function move(part, step) {
  const all = parts(part.closest(".qk-parts")).filter((item) => !item.matches(".qk-removed"));
  const other = all[all.indexOf(part) + step];
  if (!other) return;
  if (step < 0) other.before(part);
  else other.after(part);
  renumber(part.closest(".qk-parts"));
  document.activeElement?.scrollIntoView({ block: "nearest" });
  announce(`${part.dataset.label} is now number ${all.indexOf(other) + 1} of ${all.length}.`);
}

/** Take a part away, or bring it back; until the form is saved it stands there as a line. */
function remove(part, isRemoved, { quietly = false } = {}) {
  const mark = part.querySelector(":scope > .qk-part-tools .qk-delete input");
  mark.checked = isRemoved;
  part.classList.toggle("qk-removed", isRemoved);
  part.querySelector(":scope > .qk-part-body").hidden = isRemoved || part.matches(".qk-folded");
  part.querySelector(":scope > .qk-part-tools").hidden = isRemoved;
  part.querySelector(":scope > .qk-undo")?.remove();
  if (isRemoved) {
    const undo = button("Undo", () => remove(part, false), { icon: "undo-2", class: "qk-button" });
    part.prepend(h("div", { class: "qk-undo" }, `${part.dataset.label} removed. `, undo));
    if (!quietly) undo.focus();
  } else {
    part.querySelector(":scope > .qk-part-tools > .qk-fold").focus();
  }
  if (!quietly) {
    changed(mark);
    announce(isRemoved ? `${part.dataset.label} removed.` : `${part.dataset.label} is back.`);
  }
}

/** After a save, what was removed is really gone. */
document.addEventListener("qk:saved", () => {
  for (const part of document.querySelectorAll(".qk-part.qk-removed")) {
    const { key } = part.closest('.qk-field[id^="field-"]').dataset;
    part.remove();
    rebase(key);
  }
});

async function pick(box, select) {
  const options = [...select.options].filter((option) => option.value);
  const component = options.length === 1 ? options[0].value : await chooseFrom(select, { title: "Add", find: "Find a component" });
  if (component) insert(box, component, null);
}

function duplicate(part) {
  insert(part.closest(".qk-parts"), part.querySelector(":scope > input[name$='-_component']").value, part);
}

/** Ask the server for one more part: empty at the end, or with what is typed in another one, right after it. */
async function insert(box, component, source) {
  const { name } = box.dataset;
  const count = box.querySelector(`:scope > input[name="${CSS.escape(name)}-count"]`);
  const number = Number(count.value);
  const body = () => {
    const data = new FormData();
    for (const [key, value] of Object.entries({ name, number, component, locale: here().locale })) data.set(key, String(value));
    const typed = new FormData(box.closest("form"));
    for (const [key, value] of typed) if (/-\d+-_component$/u.test(key) && name.startsWith(key.replace(/-_component$/u, "-"))) data.set(key, value);
    const from = source && `${name}-${source.dataset.number}-`;
    for (const [key, value] of typed) {
      if (from && key.startsWith(from) && !/^_(?:order|delete)$/u.test(key.slice(from.length))) data.append(`${name}-${number}-${key.slice(from.length)}`, value);
    }
    return data;
  };
  const answer = await ask(`${here().base}part/`, { method: "POST", body });
  const part = answer.ok && fragment(await answer.text()).querySelector(".qk-part");
  if (!part) {
    announce("It could not be added.");
    return;
  }
  count.value = String(number + 1);
  if (source) source.after(part);
  else box.querySelector(":scope > .qk-part-list").append(part);
  enhanceWithin(part);
  renumber(box);
  announce(`${part.dataset.label} added.`);
  part.scrollIntoView({ block: "nearest" });
  part.querySelector('.qk-part-body :is(input:not([type="hidden"]), textarea, select)')?.focus({ preventScroll: true });
}
