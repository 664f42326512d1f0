/* Tags as chips with suggestions from tags in use (ARIA: combobox with a listbox). The text area stays underneath. */

import { announce, button, changed, h } from "./dom.js";
import { enhance } from "./enhance.js";
import { asking } from "./questions.js";

let made = 0;

enhance("textarea[data-tags]", (area) => {
  const id = `qk-tags-${(made += 1)}`;
  const key = area.dataset.tags;
  const label = area.closest(".qk-field")?.dataset.label || area.labels?.[0]?.textContent.trim() || "Tags";
  const question = asking("tags", { wait: 150 });
  const chips = h("ul", { class: "qk-chips", "aria-label": `Chosen for “${label}”` });
  const list = h("ul", { class: "qk-suggestions", role: "listbox", id: `${id}-list`, "aria-label": "Tags in use", hidden: true });
  const box = h("input", {
    type: "text", id, class: "qk-tag-box", role: "combobox", autocomplete: "off", dir: area.dir || "auto", lang: area.lang || null, "aria-label": `Add to “${label}”`,
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id, placeholder: "Add a tag",
  });
  const described = area.getAttribute("aria-describedby");
  const hint = h("span", { id: `${id}-hint`, class: "visually-hidden" }, "Enter or a comma adds. Backspace in the empty box removes the last.");
  box.setAttribute("aria-describedby", `${described ?? ""} ${hint.id}`.trim());
  if (area.hasAttribute("aria-invalid")) box.setAttribute("aria-invalid", "true");
  let active = -1;

  const tags = () => area.value.split("\n").map((tag) => tag.trim()).filter(Boolean);
  const write = (next) => {
    area.value = next.join("\n");
    changed(area);
  };
  const draw = () => {
    chips.replaceChildren(...tags().map((tag, at) => h("li", { class: "qk-chip", dir: "auto" }, h("bdi", {}, tag), button("", () => {
      remove(at);
      box.focus();
    }, { icon: "x", class: "qk-chip-remove", "aria-label": `Remove “${tag}”` }))));
    chips.hidden = !chips.children.length;
  };
  const remove = (at) => {
    const [gone] = tags().slice(at, at + 1);
    write(tags().filter((_, place) => place !== at));
    announce(`Removed “${gone}”.`);
  };
  const add = (text) => {
    const fresh = [...new Set(text.split(/[\n\r,]/u).map((tag) => tag.trim().normalize("NFC")).filter(Boolean))];
    const known = tags();
    const added = fresh.filter((tag) => !known.includes(tag));
    if (added.length) write([...known, ...added]);
    if (fresh.length) announce(added.length ? `Added “${added.join("”, “")}”.` : "That is there already.");
    box.value = "";
    close();
  };
  const close = () => {
    active = -1;
    list.hidden = true;
    list.replaceChildren();
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
  };
  const point = (at) => {
    active = at;
    [...list.children].forEach((option, place) => option.setAttribute("aria-selected", String(place === at)));
    if (at < 0) box.removeAttribute("aria-activedescendant");
    else {
      box.setAttribute("aria-activedescendant", list.children[at].id);
      list.children[at].scrollIntoView({ block: "nearest" });
    }
  };
  const suggest = async () => {
    if (area.name !== `f-${key}`) return;
    const found = await question({ field: key, q: box.value.trim() });
    const offered = (found?.tags ?? []).filter((tag) => !tags().includes(tag));
    if (!found || document.activeElement !== box) return;
    close();
    if (!offered.length) return;
    list.append(...offered.map((tag, at) => h("li", {
      role: "option", id: `${id}-${at}`, "aria-selected": "false", dir: "auto",
      onmousedown: (event) => event.preventDefault(), onclick: () => add(tag),
    }, tag)));
    list.hidden = false;
    box.setAttribute("aria-expanded", "true");
  };
  box.addEventListener("focus", suggest);
  box.addEventListener("input", suggest);
  box.addEventListener("blur", () => {
    if (box.value.trim()) add(box.value);
    close();
  });
  box.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text") ?? "";
    if (!/[\n\r,]/u.test(text)) return;
    event.preventDefault();
    add(`${box.value}${text}`);
  });
  box.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = list.children.length - 1;
    const step = { ArrowDown: active >= last ? 0 : active + 1, ArrowUp: active <= 0 ? last : active - 1 }[event.key];
    if (step !== undefined && last >= 0) {
      event.preventDefault();
      point(step);
    } else if (event.key === "Enter" || event.key === ",") {
      event.preventDefault(); // Enter would send the form
      add(event.key === "Enter" && active >= 0 ? list.children[active].textContent : box.value);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if (event.key === "Backspace" && !box.value && tags().length) {
      remove(tags().length - 1);
    }
  });
  area.addEventListener("change", draw);
  for (const item of area.labels ?? []) item.htmlFor = id;
  area.before(h("div", { class: "qk-tags" }, chips, h("div", { class: "qk-tag-add" }, box, list), hint));
  area.hidden = true;
  draw();
});
