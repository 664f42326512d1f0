/* Reference fields: what was chosen as cards, a picker instead of selects, and a drawer to edit an entry or make one. */

import { announce, button, changed, h, icon } from "./dom.js";
import { isFramed, openDrawer } from "./drawer.js";
import { enhance } from "./enhance.js";
import { fragment } from "./markup.js";
import { makeSortable } from "./order.js";
import { entryOf, openPicker } from "./picker.js";

export { pickEntry } from "./picker.js";

// What a save of the form has changed of chosen entries (published together) stands in the page that came back.
document.addEventListener("qk:saved", ({ detail }) => {
  for (const row of document.querySelectorAll(".qk-reference:not([data-id=''])")) {
    const fresh = detail?.page?.querySelector(`.qk-reference[data-id="${CSS.escape(row.dataset.id)}"] .qk-entry`);
    if (fresh) row.querySelector(".qk-entry")?.replaceWith(document.importNode(fresh, true));
  }
});

enhance("[data-qk-references]", (root) => {
  const { name, label } = root.dataset;
  const many = root.dataset.many === "yes";
  const most = Number(root.dataset.most);
  const collections = root.dataset.collections ? root.dataset.collections.split(",") : [];
  const list = root.querySelector(".qk-reference-list");
  const rows = () => [...list.children];
  const chosen = () => rows().filter((row) => row.dataset.id);
  const titleOf = (row) => row.querySelector(".qk-entry-title").textContent;
  const carrier = (row) => row.querySelector(".qk-reference-plain > select, .qk-reference-plain > .qk-reference-id");

  const choose = button(many ? "Add entries" : "Choose an entry", () => pick(null), { icon: "search", class: "qk-button" });
  const said = h("p", { class: "qk-reference-said" });
  root.append(said, h("div", { class: "qk-reference-choose" }, choose));
  for (const row of rows()) {
    row.querySelector(".qk-reference-plain").hidden = true;
    row.querySelector(".qk-reference-plain label")?.remove();
    if (row.dataset.id) dress(row);
  }
  if (many) makeSortable(list, { item: ".qk-reference", handle: ".qk-reference-grip", onMoved: number, nameOf: titleOf });
  settle();

  function settle() {
    for (const row of rows()) row.hidden = !row.dataset.id;
    list.hidden = chosen().length === 0;
    const isOpen = collections.length > 0;
    choose.hidden = !isOpen || (many ? chosen().length >= most : chosen().length > 0);
    for (const row of chosen()) {
      const grip = row.querySelector(".qk-reference-grip");
      if (grip) grip.hidden = chosen().length < 2;
    }
    if (!isOpen && !chosen().length) said.textContent = "There is nothing to choose from that you may see.";
  }

  /** Give a card its buttons. What people can't see can be replaced or removed, not opened. */
  function dress(row) {
    const title = titleOf(row);
    const tool = (name, text, act) =>
      button("", act, { icon: name, class: "qk-icon-button", "aria-label": `${text}: ${title}`, title: text });
    row.querySelector(".qk-reference-tools")?.remove();
    row.querySelector(".qk-reference-grip")?.remove();
    row.append(h("div", { class: "qk-reference-tools" },
      row.dataset.url ? h("a", {
        href: row.dataset.url, target: "_blank", rel: "noopener", class: "qk-icon-button", title: "Open",
        "aria-label": `Open: ${title}`, onclick: (event) => open(event, row),
      }, icon("square-pen")) : null,
      collections.length ? tool("refresh-cw", "Replace", () => pick(row)) : null,
      tool("x", "Remove", () => remove(row))));
    if (many) {
      row.prepend(button("", () => {}, {
        icon: "grip-vertical", class: "qk-icon-button qk-reference-grip",
        "aria-label": `Move: ${title}. Use the arrow keys up and down.`, title: "Move",
      }));
    }
  }

  function carry(row, id, title) {
    const input = carrier(row);
    if (input.tagName === "SELECT" && ![...input.options].some((option) => option.value === id)) {
      input.append(new Option(title, id));
    }
    input.value = id;
    changed(input);
  }

  function put(row, entry) {
    row.querySelector(".qk-entry, .qk-reference > .qk-entry-title")?.remove();
    row.prepend(fragment(entry.card));
    row.dataset.id = entry.id;
    row.dataset.url = entry.url;
    carry(row, entry.id, entry.title);
    dress(row);
    settle();
  }

  function remove(row) {
    const id = row.dataset.id;
    const title = titleOf(row);
    const next = chosen()[chosen().indexOf(row) + 1] ?? chosen()[chosen().indexOf(row) - 1];
    const had = [...row.childNodes].filter((node) => !node.classList?.contains("qk-reference-plain"));
    const url = row.dataset.url;
    for (const node of had) node.remove();
    row.dataset.id = "";
    carry(row, "", "");
    settle();
    const undo = button("Undo", () => {
      if (row.dataset.id || (many && chosen().length >= most)) return;
      row.prepend(...had);
      Object.assign(row.dataset, { id, url });
      carry(row, id, title);
      dress(row);
      said.replaceChildren();
      settle();
      row.querySelector(".qk-reference-tools button:last-child").focus();
    }, { class: "qk-button-quiet" });
    said.replaceChildren(`“${title}” is removed. `, undo);
    announce(`“${title}” is removed.`);
    (next?.querySelector(".qk-reference-tools button:last-child") ?? choose).focus();
  }

  /** Return a row without an entry: one that is there, or one more. */
  function emptyRow() {
    const free = rows().find((row) => !row.dataset.id);
    if (free || !many) {
      const last = chosen().at(-1);
      if (many && last) last.after(free);
      return free ?? rows()[0];
    }
    const count = root.querySelector(`[name="${CSS.escape(`${name}-count`)}"]`);
    const number = Number(count.value);
    count.value = String(number + 1);
    const row = h("li", { class: "qk-reference", "data-id": "", "data-url": "" },
      h("div", { class: "qk-reference-plain", hidden: true },
        h("input", { type: "hidden", class: "qk-order", name: `${name}-${number}-order`, value: number + 1 }),
        h("input", { type: "hidden", class: "qk-reference-id", name: `${name}-${number}`, value: "" })));
    list.append(row);
    return row;
  }

  /** Write down the order that the rows stand in. */
  function number() {
    rows().forEach((row, place) => {
      const order = row.querySelector(".qk-order");
      if (order.value === String(place + 1)) return;
      order.value = String(place + 1);
      changed(order);
    });
  }

  function take(entry, row) {
    put(row ?? emptyRow(), entry);
    if (many) number();
    said.replaceChildren();
  }

  function pick(row) {
    const dialog = openPicker({
      title: label ? `Choose: ${label}` : "Choose an entry",
      collections,
      many: many && !row,
      isChosen: (id) => chosen().some((item) => item.dataset.id === id),
      hasRoom: () => chosen().length < most,
      onPick: (entry) => {
        const isThere = chosen().some((item) => item.dataset.id === entry.id && item !== row);
        if (!isThere) take(entry, row);
      },
      onDrop: (id) => remove(chosen().find((item) => item.dataset.id === id)),
      onCreate: isFramed ? undefined : (collection, words) => create(collection, words, row),
    });
    dialog.addEventListener("close", () => focusOn(row));
  }

  function focusOn(row) {
    const card = row ?? chosen().at(-1);
    (choose.hidden ? card?.querySelector(".qk-reference-tools button") : choose)?.focus();
  }

  function create(collection, words, row) {
    const drawer = openDrawer(collection.add, {
      title: `New in ${collection.name}`,
      prefill: words,
      onSaved: async ({ id }) => {
        const entry = await entryOf(id);
        if (!entry) return;
        take(entry, row);
        drawer.close();
        announce(`“${entry.title}” is saved and chosen.`);
        focusOn(row);
      },
    });
  }

  function open(event, row) {
    if (isFramed || event.metaKey || event.ctrlKey || event.shiftKey) return; // a tab of its own, as for any link
    event.preventDefault();
    const drawer = openDrawer(row.dataset.url, {
      title: titleOf(row),
      onSaved: async ({ id }) => {
        const entry = id === row.dataset.id ? await entryOf(id) : null;
        if (!entry || row.dataset.id !== id) return;
        row.querySelector(".qk-entry")?.replaceWith(fragment(entry.card));
        dress(row);
        settle();
      },
    });
    drawer.dialog.addEventListener("close", () => row.querySelector(".qk-reference-tools a")?.focus());
  }
});
