/* Knows what has truly changed in the form: what was typed and taken back again is unchanged. */

const form = document.querySelector("[data-qk-form]");
const rows = () => (form ? [...form.querySelectorAll('.qk-field[id^="field-"]')] : []);
const baseline = new Map(); // what each field held when it was loaded or saved
let changedNow = new Set();

/** Return what a field would send, as one text. */
function held(row) {
  const found = [];
  for (const input of row.querySelectorAll(".qk-control :is(input, select, textarea)[name]")) {
    if (input.disabled || (["checkbox", "radio"].includes(input.type) && !input.checked)) continue;
    if (input.type === "submit") continue;
    const values = input.multiple ? [...input.selectedOptions].map((option) => option.value) : [input.value];
    for (const value of values) found.push([input.name, value.replaceAll("\r\n", "\n")]);
  }
  return JSON.stringify(found);
}

/** Return what every field would send, by key. */
export function snapshot() {
  return new Map(rows().map((row) => [row.dataset.key, held(row)]));
}

/** Take a snapshot as what is saved; without one, what the fields hold now. With a key, only that field. */
export function rebase(key = null, taken = snapshot()) {
  for (const [name, text] of taken) if (key === null || key === name) baseline.set(name, text);
  look();
}

/** Return the keys of the fields that differ from what is saved. */
export function changedKeys() {
  return [...snapshot()].filter(([key, text]) => baseline.get(key) !== text).map(([key]) => key);
}

export function isDirty() {
  return baseline.size > 0 && changedKeys().length > 0;
}

function look(row = null) {
  const before = [...changedNow].join(" ");
  if (row) {
    if (baseline.get(row.dataset.key) === held(row)) changedNow.delete(row.dataset.key);
    else changedNow.add(row.dataset.key);
  } else {
    changedNow = new Set(changedKeys());
  }
  if (before !== [...changedNow].join(" ")) {
    form.dispatchEvent(new CustomEvent("qk:dirty", { bubbles: true, detail: { keys: [...changedNow] } }));
  }
}

/** Begin to look, when everything that arranges inputs has done so. */
export function start() {
  if (!form) return;
  rebase();
  // Shown again by the server without being saved: what was typed then is still to be saved.
  for (const key of (form.dataset.unsaved ?? "").split(" ")) if (baseline.has(key)) baseline.set(key, null);
  look();
  for (const name of ["input", "change"]) {
    form.addEventListener(name, (event) => look(event.target.closest('.qk-field[id^="field-"]')));
  }
}
