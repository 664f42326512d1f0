/* A small toolbar for Markdown, and beside it how the text will look: made by the server, as publishing makes it. */

import { button, changed, h } from "./dom.js";
import { enhance } from "./enhance.js";
import { fragment } from "./markup.js";
import { asking } from "./questions.js";

const TOOLS = [
  ["bold", "Bold (Ctrl+B)", (area) => wrap(area, "**", "**", "bold")],
  ["italic", "Italic (Ctrl+I)", (area) => wrap(area, "*", "*", "italic")],
  ["link", "Link (Ctrl+K)", (area) => wrap(area, "[", "](https://)", "link")],
  ["heading", "Heading", (area) => begin(area, "## ")],
  ["list", "List", (area) => begin(area, "- ")],
  ["quote", "Quote", (area) => begin(area, "> ")],
  ["code", "Code", (area) => wrap(area, "`", "`", "code")],
];
const KEYS = { b: 0, i: 1, k: 2 };
const REMEMBERED = "qk-preview";

enhance("textarea[data-markdown]", (area) => {
  const label = area.closest(".qk-field")?.dataset.label || area.labels?.[0]?.textContent.trim() || "Text";
  const question = asking("markdown", { wait: 400 });
  const shown = h("div", { class: "qk-preview", role: "group", "aria-label": `Preview of “${label}”`, tabindex: 0, dir: "auto", hidden: true });
  const show = async () => {
    if (shown.hidden) return;
    const found = await question({ text: area.value });
    if (!found) return;
    const { scrollTop } = shown;
    const content = typeof found.markup === "string" ? fragment(found.markup) : h("p", {}, found.error ?? "There is no preview now.");
    for (const link of content.querySelectorAll("a")) {
      const isAway = /^https?:/iu.test(link.getAttribute("href") ?? "");
      if (isAway) link.target = "_blank";
      else link.removeAttribute("href"); // it would lead away from what is being written
    }
    // The page has a first heading of its own.
    for (const heading of content.querySelectorAll("h1, h2, h3, h4, h5")) heading.ariaLevel = String(Number(heading.tagName[1]) + 1);
    shown.replaceChildren(area.value.trim() ? content : h("p", { class: "qk-said" }, "Nothing is written yet."));
    shown.scrollTop = scrollTop;
  };
  const toggle = button("Preview", () => {
    shown.hidden = !shown.hidden;
    localStorage.setItem(REMEMBERED, shown.hidden ? "" : "1");
    arrange();
    show();
  }, { icon: "eye", class: "qk-button qk-button-quiet" });
  const arrange = () => {
    toggle.setAttribute("aria-pressed", String(!shown.hidden));
    panes.classList.toggle("qk-two", !shown.hidden);
  };
  const bar = h("div", { class: "qk-toolbar qk-markdown-bar", role: "toolbar", "aria-label": `Formatting of “${label}”` },
    TOOLS.map(([name, title, act]) => button("", () => act(area), { icon: name, class: "qk-icon-button", "aria-label": title, title })), toggle);
  const stops = () => [...bar.querySelectorAll("button")];
  stops().forEach((item, at) => {
    item.tabIndex = at ? -1 : 0;
  });
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = stops();
    const turned = getComputedStyle(bar).direction === "rtl" ? -1 : 1;
    const next = all.at((all.indexOf(document.activeElement) + step * turned) % all.length);
    for (const item of all) item.tabIndex = item === next ? 0 : -1;
    next.focus();
  });
  area.addEventListener("keydown", (event) => {
    const at = KEYS[event.key.toLowerCase()];
    if (at === undefined || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    TOOLS[at][2](area);
  });
  area.addEventListener("input", show);
  const panes = h("div", { class: "qk-panes" });
  const whole = h("div", { class: "qk-markdown" }, bar, panes);
  area.before(whole);
  panes.append(area, shown);
  shown.hidden = !localStorage.getItem(REMEMBERED);
  arrange();
  show();
});

/** Put marks around what is selected, or a word between marks; the word stays selected. */
function wrap(area, before, after, word) {
  const { selectionStart: start, selectionEnd: end } = area;
  const inner = area.value.slice(start, end) || word;
  put(area, `${before}${inner}${after}`);
  area.setSelectionRange(start + before.length, start + before.length + inner.length);
}

/** Put a mark in front of each line that is selected. */
function begin(area, mark) {
  const start = area.value.lastIndexOf("\n", area.selectionStart - 1) + 1;
  const next = area.value.indexOf("\n", area.selectionEnd);
  area.setSelectionRange(start, next < 0 ? area.value.length : next);
  const lines = area.value.slice(area.selectionStart, area.selectionEnd).split("\n");
  put(area, lines.map((line) => mark + line).join("\n"));
}

/** Type a text in the place of what is selected, so that it can be undone. */
function put(area, text) {
  area.focus();
  if (document.execCommand("insertText", false, text)) return;
  area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
  changed(area);
}
