/* Finds entries by words of their titles: a dialog with a search box and what was found (ARIA: combobox, listbox). */

import { ask } from "./ask.js";
import { openDialog } from "./dialogs.js";
import { button, h, icon } from "./dom.js";
import { fragment } from "./markup.js";

const WAIT = 80; // milliseconds after a key before the server is asked
const STATES = [["", "Any state"], ["draft", "Draft"], ["changed", "Changed"], ["published", "Published"]];
let opened = 0;

/** Return the entry with this id as far as it may be seen, or null. */
export async function entryOf(id) {
  const found = await asked({ id });
  return found.entries[0] ?? null;
}

async function asked(questions, signal) {
  const url = new URL(document.querySelector("meta[name=qk-choices]").content, location.href);
  for (const [name, value] of Object.entries(questions)) if (value) url.searchParams.set(name, value);
  const answer = await ask(url, { signal });
  if (answer.status === 404) return { entries: [], collections: [] };
  if (!answer.ok) throw new Error(answer.status === 429 ? "Too many searches. Wait a moment." : "The search failed.");
  return answer.json();
}

/**
 * Show the picker and return its dialog. `collections` are keys, or nothing for all that may be read. `onPick(entry)`
 * hears what was chosen: once, or with `many` again and again, and `onDrop(id)` what was given back; `isChosen(id)` and
 * `hasRoom()` tell how the list stands. With `onCreate(collection, words)` a new entry is offered.
 */
export function openPicker({
  title, collections, many = false, isChosen = () => false, hasRoom = () => true, onPick, onDrop, onCreate,
}) {
  const name = `qk-picker-${(opened += 1)}`;
  const box = h("input", {
    type: "text", role: "combobox", class: "qk-picker-words", maxlength: 200, autocomplete: "off", spellcheck: "false",
    placeholder: "Search by title", "aria-label": "Search by title", "aria-autocomplete": "list",
    "aria-expanded": "true", "aria-controls": `${name}-list`, "aria-describedby": `${name}-said`,
  });
  const within = h("select", { "aria-label": "Collection", hidden: true });
  const state = h("select", { "aria-label": "State" }, STATES.map(([value, label]) => h("option", { value }, label)));
  const list = h("ul", {
    role: "listbox", id: `${name}-list`, class: "qk-picker-list", "aria-label": "Entries",
    "aria-multiselectable": many ? "true" : false,
  });
  const said = h("p", { role: "status", id: `${name}-said`, class: "qk-picker-said" });
  const body = h("div", { class: "qk-picker" },
    h("div", { class: "qk-picker-bar" }, h("span", { class: "qk-picker-box" }, icon("search"), box), within, state),
    said, list);
  const done = many ? [button("Done", () => dialog.close(""), { class: "qk-button qk-button-primary" })] : [];
  const dialog = openDialog({ title, body, actions: done, className: "qk-picker-dialog" });
  let active = null;
  let present = new AbortController();
  let timer = 0;

  const options = () => [...list.children];
  const point = (option) => {
    active?.classList.remove("qk-active");
    active = option ?? null;
    active?.classList.add("qk-active");
    if (active) {
      box.setAttribute("aria-activedescendant", active.id);
      active.scrollIntoView({ block: "nearest" });
    } else box.removeAttribute("aria-activedescendant");
  };

  function choose(option) {
    if (!option) return;
    if (option.collection) {
      dialog.close("");
      onCreate(option.collection, box.value.trim());
    } else if (!many) {
      dialog.close(option.entry.id);
      onPick(option.entry);
    } else {
      const { id, title: named } = option.entry;
      if (isChosen(id)) onDrop(id);
      else if (hasRoom()) onPick(option.entry);
      else return void (said.textContent = "There is no room for more.");
      option.setAttribute("aria-selected", String(isChosen(id)));
      said.textContent = isChosen(id) ? `“${named}” is chosen.` : `“${named}” is not chosen any more.`;
    }
  }

  function optionOf(entry, number) {
    const option = h("li", {
      role: "option", id: `${name}-${number}`, class: "qk-picker-option", "aria-selected": String(isChosen(entry.id)),
    }, fragment(entry.card), many ? icon("check") : null);
    option.entry = entry;
    return option;
  }

  function offerOf(collection, number, isOnly) {
    const words = box.value.trim();
    const what = words ? `Create “${words}”` : "Create a new entry";
    const option = h("li", { role: "option", id: `${name}-${number}`, class: "qk-picker-option", "aria-selected": "false" },
      icon("plus"), h("span", {}, isOnly ? what : `${what} in ${collection.name}`));
    option.collection = collection;
    return option;
  }

  function show(found, words) {
    if (within.options.length === 0 && found.collections.length > 1) {
      within.append(h("option", { value: "" }, "All collections"),
        ...found.collections.map((item) => h("option", { value: item.key }, item.name)));
      within.hidden = false;
    }
    const creatable = onCreate ? found.collections.filter((item) => item.add) : [];
    const count = found.entries.length;
    list.replaceChildren(
      ...found.entries.map(optionOf),
      ...creatable.map((item, index) => offerOf(item, count + index, found.collections.length === 1)),
    );
    list.hidden = list.children.length === 0;
    point(words ? options()[0] : null);
    if (count === 0) said.textContent = words || state.value ? "Nothing was found." : "There is no entry yet.";
    else if (!words) said.textContent = "What you had open, and what has changed lately:";
    else said.textContent = count === 1 ? "1 entry was found." : `${count} entries were found.`;
  }

  async function search() {
    present.abort();
    present = new AbortController();
    const words = box.value.trim();
    const signal = present.signal;
    list.setAttribute("aria-busy", "true");
    try {
      const keys = within.value || (collections ?? []).join(",");
      show(await asked({ in: keys, q: words, state: state.value }, signal), words);
    } catch (error) {
      if (signal.aborted) return;
      said.textContent = error instanceof TypeError ? "The server can’t be reached." : error.message;
    }
    list.removeAttribute("aria-busy");
  }

  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, WAIT);
  });
  for (const filter of [within, state]) filter.addEventListener("change", search);
  box.addEventListener("keydown", (event) => {
    const all = options();
    const place = all.indexOf(active);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 5, PageUp: -5 };
    if (event.key === "Enter") {
      event.preventDefault();
      choose(active);
    } else if (event.key in steps && all.length) {
      event.preventDefault();
      const next = place + steps[event.key];
      const first = place < 0 && steps[event.key] < 0 ? all.length - 1 : 0;
      const wraps = Math.abs(steps[event.key]) === 1;
      point(all[place < 0 ? first : wraps ? (next + all.length) % all.length : Math.min(Math.max(next, 0), all.length - 1)]);
    }
  });
  list.addEventListener("click", (event) => choose(event.target.closest("[role=option]")));
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // typing goes on in the box
  dialog.addEventListener("close", () => {
    clearTimeout(timer);
    present.abort();
  });
  box.focus();
  search();
  return dialog;
}

/** Ask for one entry; resolves with `{id, title, collection, status}`, or null when people close the picker. */
export function pickEntry({ collections, title = "Choose an entry" } = {}) {
  return new Promise((resolve) => {
    let chosen = null;
    const onPick = ({ id, title: named, collection, status }) => (chosen = { id, title: named, collection, status });
    const keys = collections?.length ? collections : undefined;
    openPicker({ title, collections: keys, onPick }).addEventListener("close", () => setTimeout(() => resolve(chosen)));
  });
}
