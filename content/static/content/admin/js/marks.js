/* Marks what is not saved yet, by field and by tab, and puts one field back as it was saved. */

import { ask } from "./ask.js";
import { announce, button } from "./dom.js";
import { rebase } from "./dirty.js";
import { enhance, enhanceWithin } from "./enhance.js";
import { fragment } from "./markup.js";
import { changed } from "./dom.js";

const form = document.querySelector("[data-qk-form]");

form?.addEventListener("qk:dirty", ({ detail }) => {
  const keys = new Set(detail.keys);
  for (const row of form.querySelectorAll('.qk-field[id^="field-"]')) mark(row, keys.has(row.dataset.key));
});

function mark(row, isChanged) {
  row.classList.toggle("qk-unsaved", isChanged);
  const head = row.querySelector(".qk-field-head");
  let tool = head.querySelector("[data-qk-reset]");
  if (!isChanged) {
    tool?.remove();
  } else if (!tool && document.querySelector("[name=base]")) {
    tool = button("Reset", () => reset(row), {
      class: "qk-button qk-button-quiet qk-small", icon: "rotate-ccw",
      "data-qk-reset": true, "aria-label": `Reset ${row.dataset.label}`, title: "Put back what is saved",
    });
    head.append(tool);
  }
}

/** Put a field back as it stands in the version that the form started from. */
async function reset(row) {
  const base = document.querySelector("[name=base]");
  const url = new URL(base.dataset.fields.replace("/KEY/", `/${row.dataset.key}/`), location.origin);
  url.searchParams.set("base", base.value);
  const locale = new URLSearchParams(location.search).get("locale");
  if (locale) url.searchParams.set("locale", locale);
  const answer = await ask(url);
  const fresh = answer.ok && fragment(await answer.text()).querySelector(".qk-control");
  if (!fresh) {
    announce(`${row.dataset.label} could not be reset.`);
    return;
  }
  row.querySelector(".qk-control").replaceWith(fresh);
  enhanceWithin(row);
  rebase(row.dataset.key);
  const input = row.querySelector(":is(input, select, textarea):not([type=hidden])");
  if (input) changed(input);
  input?.focus();
  announce(`${row.dataset.label} is as it was saved.`);
}

/* What another locale says is only shown. Copying it is a choice. */
enhance("[data-qk-fill]", (tool) => {
  const row = tool.closest(".qk-field");
  const input = row.querySelector(".qk-control :is(textarea, input:not([type=hidden]))");
  tool.hidden = !input;
  tool.addEventListener("click", () => {
    if (input.closest(".prose-editor")) {
      input.dispatchEvent(new CustomEvent("qk:fill", { detail: tool.dataset.qkFill }));
    } else {
      input.value = tool.dataset.qkFill;
      changed(input);
      input.focus();
    }
  });
});
