/* Shows a field only when it is asked for, as `content/conditions.py` decides it when an entry is published. */

import { announce } from "./dom.js";
import { enhance } from "./enhance.js";

const LISTS = new Set(["choices", "tags", "references"]);

/** Tell whether a condition holds for a value: null for nothing, a list for fields that hold several. */
export function holds({ operator, value }, actual) {
  if (operator === "exists") return (actual !== null) === value;
  const wanted = Array.isArray(value) ? value : [value];
  const present = Array.isArray(actual) ? actual : [actual];
  return present.some((one) => wanted.some((other) => one === other)) === (operator !== "ne");
}

/** Return what a field holds now, as it would be stored. */
export function valueOf(row) {
  const { type } = row.dataset;
  const inputs = [...row.querySelectorAll(".qk-control :is(input, select, textarea)[name]")].filter(
    (input) => !input.disabled && (!["checkbox", "radio"].includes(input.type) || input.checked),
  );
  if (type === "component" || type === "blocks") {
    return row.querySelector(".qk-part:not(.qk-removed)") ? true : null;
  }
  const texts = inputs.flatMap((input) => (type === "tags" ? input.value.split("\n") : [input.value]))
    .map((text) => text.trim()).filter((text) => text !== "");
  if (LISTS.has(type)) return texts.length ? texts : null;
  if (!texts.length) return null;
  if (type === "boolean") return ["true", "on", "1", "yes"].includes(texts[0].toLowerCase());
  if (type === "integer") return Number(texts[0]);
  return texts[0];
}

/** The fields beside a field: of the form, or of the same part. */
function beside(row) {
  return [...row.parentElement.closest(".qk-part-body, .qk-part, [data-qk-form]").querySelectorAll(".qk-field")].filter(
    (other) => scope(other) === scope(row),
  );
}

function scope(row) {
  return row.parentElement.closest(".qk-part-body, .qk-part, [data-qk-form]");
}

function isAsked(row, depth = 0) {
  if (!row.dataset.condition || depth > 20) return true;
  const condition = JSON.parse(row.dataset.condition);
  const other = beside(row).find((item) => item.dataset.key === condition.field);
  return !other || holds(condition, isAsked(other, depth + 1) ? valueOf(other) : null);
}

enhance(".qk-field[data-condition]", (row) => {
  const show = (isQuiet) => {
    const isHidden = !isAsked(row) && !row.querySelector(".errorlist");
    if (isHidden === row.hidden) return;
    row.hidden = isHidden;
    if (!isQuiet) announce(isHidden ? `${row.dataset.label} is not asked for.` : `${row.dataset.label} is asked for now.`);
  };
  show(true);
  const box = scope(row);
  for (const name of ["input", "change"]) box.addEventListener(name, () => show(false));
  row.addEventListener("qk:show", () => {
    row.hidden = false;
  });
});
