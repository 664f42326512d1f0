/* Modelling: fields are added from a picker, ordered, copied, removed and brought back; settings open in a drawer with
   the form beside them as editors would see it. The server draws every row and every preview; without script it is one page. */

import "./conditions.js";
import "./counters.js";
import "./moments.js";
import "./json.js";
import "./colour.js";
import "./place.js";
import "./tags.js";
import "./checks.js";
import "./opening.js";
import "./rich.js";
import { ask } from "./ask.js";
import { chooseFrom } from "./choosing.js";
import { followsName } from "./keys.js";
import { openDrawer } from "./model-drawer.js";
import { announce, button, h } from "./dom.js";
import { enhance, enhanceWithin } from "./enhance.js";
import { fragment } from "./markup.js";
import { makeSortable } from "./order.js";
import "./model-save.js";

const form = document.querySelector("[data-qk-model]");
const rows = () => [...form.querySelectorAll(".qk-model-row")];
const input = (row, name) => form.querySelector(`[name="field-${row.dataset.row}-${name}"]`);

enhance(".qk-model-list", (list) => {
  makeSortable(list, { item: ".qk-model-row", handle: ".qk-grip", onMoved: renumber, nameOf: (row) => row.dataset.name });
  const add = form.querySelector("[data-qk-add]");
  const select = add.querySelector("select");
  for (const plain of add.children) plain.hidden = true;
  add.append(button("Add a field", async () => {
    const type = await chooseFrom(select, { title: "Add a field", find: "Find a type of field" });
    if (type) insert(type);
  }, { icon: "plus", class: "qk-button qk-button-primary" }));
});

enhance(".qk-model-row", (row) => {
  const details = row.querySelector(":scope > details");
  const line = details.querySelector(":scope > summary");
  const name = row.dataset.name;
  details.open = true;
  details.hidden = true;
  const edit = button("", () => open(row), { class: "qk-model-line", "aria-label": `Settings of ${name}` });
  edit.append(...line.childNodes);
  row.prepend(h("div", { class: "qk-model-head" },
    button("", () => announce("Use the arrow keys to move it."), { icon: "grip-vertical", class: "qk-icon-button qk-grip", "aria-label": `Move ${name}`, title: "Drag, or use the arrow keys" }),
    edit,
    h("span", { class: "qk-part-acts" },
      button("", () => move(row, -1), { icon: "arrow-up", class: "qk-icon-button", "aria-label": `Move ${name} up` }),
      button("", () => move(row, 1), { icon: "arrow-down", class: "qk-icon-button", "aria-label": `Move ${name} down` }),
      button("", () => duplicate(row), { icon: "copy", class: "qk-icon-button", "aria-label": `Duplicate ${name}` }),
      button("", () => remove(row, true), { icon: "trash-2", class: "qk-icon-button", "aria-label": `Remove ${name}` }))));
  row.querySelector("[data-qk-plain]").hidden = true;
  if (input(row, "remove").checked) remove(row, true, { quietly: true });
});

enhance(".qk-model-members", (members) => {
  const key = members.querySelector("[name=key]");
  if (!key.value) followsName(key, members.querySelector("[name=name]"), () => []);
});

/** Write the places of the rows into the numbers that are sent. */
function renumber() {
  rows().forEach((row, index) => {
    input(row, "order").value = String(index + 1);
  });
  form.querySelector("[data-qk-none]")?.remove();
}

function move(row, step) {
  const all = rows().filter((item) => !item.matches(".qk-removed"));
  const other = all[all.indexOf(row) + step];
  if (!other) return;
  const pressed = document.activeElement;
  if (step < 0) other.before(row);
  else other.after(row);
  renumber();
  pressed?.focus();
  announce(`${row.dataset.name} is now number ${all.indexOf(other) + 1} of ${all.length}.`);
}

/** Take a field away, or bring it back; until the collection is saved it stands there as a line. */
function remove(row, isRemoved, { quietly = false } = {}) {
  input(row, "remove").checked = isRemoved;
  row.classList.toggle("qk-removed", isRemoved);
  const head = row.querySelector(":scope > .qk-model-head");
  head.hidden = isRemoved;
  row.querySelector(":scope > .qk-undo")?.remove();
  if (isRemoved) {
    const undo = button("Undo", () => remove(row, false), { icon: "undo-2", class: "qk-button" });
    row.prepend(h("div", { class: "qk-undo" }, `${row.dataset.name} removed. `, undo));
    if (!quietly) undo.focus();
  } else {
    head.querySelector("button").focus();
  }
  if (!quietly) announce(isRemoved ? `${row.dataset.name} removed.` : `${row.dataset.name} is back.`);
}

/** Ask the server for a row as it is typed now; `extend` may add to what is sent. Null when it can't be had. */
async function drawn(number, extend = () => {}) {
  const body = () => {
    const data = new FormData(form);
    extend(data);
    data.set("_row", String(number));
    return data;
  };
  const answer = await ask(location.pathname, { method: "POST", body });
  const row = answer.ok && fragment(await answer.text()).querySelector(".qk-model-row");
  if (!row) announce("The server did not answer. Nothing is lost; try again.");
  return row || null;
}

async function insert(type, source = null) {
  const count = form.querySelector("[name=field-count]");
  const number = Number(count.value);
  const row = await drawn(number, (data) => {
    data.set("field-count", String(number + 1));
    if (source) {
      const from = `field-${source.dataset.row}-`;
      for (const [name, value] of [...data]) {
        if (name.startsWith(from)) data.append(`field-${number}-${name.slice(from.length)}`, value);
      }
      for (const name of ["id", "remove"]) data.delete(`field-${number}-${name}`);
      data.set(`field-${number}-key`, `${input(source, "key").value}_copy`.slice(0, 41));
      data.set(`field-${number}-label`, `${source.dataset.name} (copy)`.slice(0, 80));
    } else {
      data.set(`field-${number}-type`, type);
      data.set(`field-${number}-data_class`, "public");
    }
    data.set(`field-${number}-asked`, "on");
  });
  if (!row) return;
  count.value = String(number + 1);
  if (source) source.after(row);
  else form.querySelector(".qk-model-list").append(row);
  enhanceWithin(row);
  renumber();
  announce(`${row.dataset.name} added.`);
  open(row);
}

function duplicate(row) {
  insert("", row);
}

/** Put the row as the server draws it in the place of the present one; asked again when it was changed meanwhile. */
async function redraw(row) {
  const prefix = `field-${row.dataset.row}-`;
  const held = () => JSON.stringify([...new FormData(form)].filter(([name]) => name.startsWith(prefix) && name !== `${prefix}order`));
  for (let tries = 0; tries < 5; tries += 1) {
    const before = held();
    const fresh = await drawn(row.dataset.row);
    if (!fresh) return row;
    // A button that is pressed just now must not vanish under the finger.
    if (row.matches(":active")) await new Promise((resolve) => { addEventListener("pointerup", () => setTimeout(resolve), { once: true }); });
    if (before !== held()) continue;
    row.replaceWith(fresh);
    enhanceWithin(fresh);
    renumber();
    return fresh;
  }
  return row;
}

function open(row, focus = null) {
  const others = () => rows().filter((item) => item !== row).map((item) => input(item, "key").value);
  openDrawer(row, { form, focus, others, redraw });
}

// A link in the summary of faults opens the settings that it leads to.
form?.addEventListener("click", (event) => {
  const link = event.target.closest('.errornote a[href^="#"]');
  const target = link && document.querySelector(`[id="${CSS.escape(link.hash.slice(1))}"]`);
  const row = target?.closest(".qk-model-row");
  if (!target) return;
  event.preventDefault();
  if (row) open(row, target);
  else target.focus();
});
