/* Looks after the rich text editors of the form: starts them where fragments arrive, names them, keeps what is untouched. */

import { enhance } from "./enhance.js";

const AREA = "textarea[data-django-prose-editor-configurable]";
const EDITOR = "django-prose-editor/configurable"; // by the page's import map, which only pages with an editor have

enhance(AREA, async (area) => {
  const { createEditor } = await import(EDITOR);
  const editor = await createEditor(area);
  if (editor) lookAfter(area, editor);
});
// The library starts the editors that are there on load; whichever was first, it is the same editor.
document.addEventListener("prose-editor:ready", ({ detail }) => lookAfter(detail.textarea, detail.editor));

const known = new WeakSet();

function lookAfter(area, editor) {
  if (known.has(editor)) return;
  known.add(editor);
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
  for (const name of ["aria-describedby", "aria-invalid"]) {
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
