/* Choosing one of a select's options from cards with descriptions: found by typing, walked through by arrow keys. */

import { openDialog } from "./dialogs.js";
import { button, h, icon } from "./dom.js";

/** Show the options of a select as cards, under the headings of its groups; resolves to a value, "" for none. */
export function chooseFrom(select, { title, find: asked }) {
  const find = h("input", { type: "search", placeholder: "Find", "aria-label": asked, class: "qk-find" });
  const cards = [];
  const card = (option) => {
    const made = button("", () => dialog.close(option.value), { class: "qk-choice" });
    made.append(
      h("span", { class: "qk-choice-name" }, option.dataset.icon ? icon(option.dataset.icon) : null, option.text),
      option.dataset.description ? h("small", {}, option.dataset.description) : "",
    );
    cards.push(made);
    return made;
  };
  const group = (label, options) => h("section", {}, label ? h("h3", { class: "qk-choices-head" }, label) : null,
    h("div", { class: "qk-choices" }, options.filter((option) => option.value).map(card)));
  const heads = [...select.querySelectorAll("optgroup")];
  const body = heads.length ? heads.map((head) => group(head.label, [...head.children])) : [group("", [...select.options])];
  const dialog = openDialog({ title, body: [find, ...body] });
  find.addEventListener("input", () => {
    const words = find.value.trim().toLowerCase();
    for (const item of cards) item.hidden = !item.textContent.toLowerCase().includes(words);
    for (const section of body) section.hidden = !section.querySelector(".qk-choice:not([hidden])");
  });
  dialog.addEventListener("keydown", (event) => {
    const shown = cards.filter((item) => !item.hidden);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter" && event.target === find && shown[0]) {
      event.preventDefault();
      shown[0].click();
    } else if (step && shown.length) {
      event.preventDefault();
      shown[(shown.indexOf(document.activeElement) + step + shown.length) % shown.length].focus();
    }
  });
  find.focus();
  return dialog.answered;
}
