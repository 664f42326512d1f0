// Shows of the form of a source what its scheme and its action need. Without it everything is shown, and works the same.

const MATCHING = ["update", "create_or_update", "publish", "unpublish"];
const SAVING = ["create", "update", "create_or_update"];
const NEEDS = {
  account: (_, does) => does !== "record",
  collection: (_, does) => does !== "record",
  locale: (_, does) => does !== "record",
  match_field: (_, does) => MATCHING.includes(does),
  match_pointer: (_, does) => MATCHING.includes(does),
  mapping: (_, does) => SAVING.includes(does),
  publish: (_, does) => SAVING.includes(does),
  tolerance_seconds: (scheme) => scheme !== "github",
};

/** A row with something in it, or with a fault, stays: nothing that is sent is hidden. */
function isEmpty(row) {
  const fields = [...row.querySelectorAll("input:not([type=hidden]), select, textarea")];
  return !row.classList.contains("errors") && fields.every((field) => (field.type === "checkbox" ? !field.checked : !field.value.trim()));
}

function scheme() {
  const chosen = document.querySelector('[name="scheme"]:checked');
  return chosen ? chosen.value : (document.querySelector("[data-scheme]")?.dataset.scheme ?? "");
}

function show() {
  const does = document.querySelector('[name="do"]')?.value ?? "record";
  for (const [name, isNeeded] of Object.entries(NEEDS)) {
    const row = document.querySelector(`.form-row.field-${name}`);
    if (row) row.hidden = !isNeeded(scheme(), does) && isEmpty(row);
  }
  const own = document.querySelector("fieldset.qk-own-hmac");
  if (own) own.hidden = scheme() !== "hmac" && [...own.querySelectorAll(".form-row")].every(isEmpty);
}

if (document.querySelector('[name="do"]')) {
  document.addEventListener("change", show);
  show();
}
