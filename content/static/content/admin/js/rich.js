/* Looks after the rich text editors of the form: starts them where fragments arrive, names them, keeps what is untouched. */

import { enhance } from "./enhance.js";

const AREA = "textarea[data-rich]";
const EDITOR = "django-prose-editor/configurable"; // by the page's import map, which only pages with an editor have
const SETTINGS = "data-django-prose-editor-configurable"; // where the library reads them

// Editors are heavy. Those in sight, or about to be, start at once; the others one by one, while nothing else happens.
const waiting = new Set();
const sight = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) if (isIntersecting) start(target);
}, { rootMargin: "50% 0%" });
const whenIdle = window.requestIdleCallback?.bind(window) ?? ((act) => setTimeout(act, 300));
let isBusy = false;

enhance(AREA, (area) => {
  waiting.add(area);
  sight.observe(area);
  area.addEventListener("focus", () => start(area), { once: true });
  if (document.activeElement === area) start(area);
  startAnother();
});

function startAnother() {
  const [next] = waiting;
  if (isBusy || !next) return;
  isBusy = true;
  whenIdle(async () => {
    try {
      await start(next);
    } finally {
      isBusy = false;
      startAnother();
    }
  });
}

async function start(area) {
  if (!waiting.delete(area)) return;
  sight.unobserve(area);
  const { createEditor } = await import(EDITOR);
  if (!area.isConnected) return;
  const isFocused = document.activeElement === area;
  area.setAttribute(SETTINGS, area.dataset.rich);
  const editor = await createEditor(area);
  if (!editor) return;
  lookAfter(area, editor);
  if (isFocused) editor.commands.focus();
}

function lookAfter(area, editor) {
  nameIt(area, editor);
  makeToolbar(editor);

  // The editor writes markup its own way. As long as it says the same as what came, what came stays.
  let came = area.value;
  let same = editor.getHTML();
  area.addEventListener("input", () => {
    if (area.value !== came && editor.getHTML() === same) area.value = came;
  });
  document.addEventListener("qk:saved", () => {
    came = area.value;
    same = editor.getHTML();
  });
  area.addEventListener("qk:fill", ({ detail }) => editor.commands.setContent(detail, { emitUpdate: true }));
}

/** Give the editor the label, the help and the direction of the text area that it stands for. */
function nameIt(area, editor) {
  const box = editor.view.dom;
  const label = area.labels?.[0] ?? area.closest(".qk-field")?.querySelector("label, legend, .qk-label");
  box.setAttribute("role", "textbox");
  box.setAttribute("aria-multiline", "true");
  box.setAttribute("aria-label", area.closest(".qk-field")?.dataset.label ?? label?.textContent.trim() ?? "Text");
  for (const name of ["aria-describedby", "aria-invalid", "dir", "lang"]) {
    if (area.hasAttribute(name)) box.setAttribute(name, area.getAttribute(name));
  }
  if (!box.hasAttribute("dir")) box.setAttribute("dir", "auto");
  label?.addEventListener("click", () => editor.commands.focus());
}

/** Make one tab stop of the buttons: arrow keys go from one to the next (ARIA, toolbar pattern). */
function makeToolbar(editor) {
  const bar = editor.view.dom.parentElement?.querySelector(".prose-menubar");
  if (!bar) {
    editor.on("create", () => makeToolbar(editor)); // the library adds the buttons at that moment
    return;
  }
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", "Formatting");
  const buttons = () => [...bar.querySelectorAll("button")].filter((item) => item.offsetParent !== null);
  const stop = (chosen) => {
    for (const item of bar.querySelectorAll("button")) item.tabIndex = item === chosen ? 0 : -1;
  };
  stop(bar.querySelector("button"));
  bar.addEventListener("focusin", (event) => stop(event.target.closest("button")));
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const shown = buttons();
    const present = shown.indexOf(event.target.closest("button"));
    if (present < 0 || !(step || event.key === "Home" || event.key === "End")) return;
    event.preventDefault();
    const turned = getComputedStyle(bar).direction === "rtl" ? -1 : 1;
    const next = event.key === "Home" ? 0 : event.key === "End" ? shown.length - 1 : present + step * turned;
    shown.at(next % shown.length).focus();
  });
}
