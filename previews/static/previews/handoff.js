// Makes the rows of handoff URLs nicer: offers the fields of the chosen collection, shows where the address leads for a
// real draft, and adds and removes rows. Without it the same inputs work, with three empty rows.

const MOST_CHIPS = 12;

/** Write a text as one part of an address, as the server does (RFC 3986: nothing but unreserved characters stays). */
function encoded(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Return where the address leads for the sample, or "" where a value is missing or a brace is left open. */
function filled(url, sample) {
  let whole = true;
  const text = url.replace(/\{([^{}]*)\}/g, (_, name) => {
    if (!Object.hasOwn(sample, name)) whole = false;
    return whole ? encoded(sample[name]) : "";
  });
  return whole && !/[{}]/.test(text) ? text : "";
}

function parts(row) {
  const [collection, url] = ["collection", "url"].map((part) => row.querySelector(`[name$="-${part}"]`));
  return { collection, url, notes: row.querySelector(".qk-handoff-notes"), example: row.querySelector("[data-qk-example]") };
}

function showExample(row, known) {
  const { collection, url, example } = parts(row);
  const about = known[collection.value];
  const address = about && url.value ? filled(url.value.trim(), about.sample) : "";
  example.hidden = !address;
  example.replaceChildren();
  if (address) {
    const code = document.createElement("code");
    code.textContent = address;
    example.append("Such as ", code);
  }
}

/** Put a field where the caret is. */
function insert(url, key) {
  const [from, to] = [url.selectionStart ?? url.value.length, url.selectionEnd ?? url.value.length];
  url.setRangeText(`{${key}}`, from, to, "end");
  url.dispatchEvent(new Event("input", { bubbles: true }));
  url.focus();
}

function offerFields(row, known) {
  const { collection, url, notes, example } = parts(row);
  row.querySelector("[data-qk-chips]")?.remove();
  const fields = known[collection.value]?.fields ?? [];
  if (fields.length === 0) return;
  const chips = document.createElement("div");
  chips.className = "qk-handoff-chips";
  chips.dataset.qkChips = "";
  chips.setAttribute("role", "group");
  chips.setAttribute("aria-label", "Put a field into the address");
  for (const [key, name] of fields.slice(0, MOST_CHIPS)) {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.className = "qk-handoff-chip";
    chip.textContent = `{${key}}`;
    chip.title = name;
    chip.addEventListener("click", () => insert(url, key));
    chips.append(chip);
  }
  notes.insertBefore(chips, example);
}

function setUp(holder) {
  const known = JSON.parse(document.getElementById(holder.dataset.qkHandoff).textContent);
  const list = holder.querySelector("[data-qk-handoff-rows]");
  const template = holder.querySelector("template");
  const add = holder.querySelector("[data-qk-add]");
  let next = list.children.length;

  function number() {
    [...list.children].forEach((row, index) => {
      row.querySelector("[data-qk-number]").textContent = String(index + 1);
      row.querySelector("[data-qk-remove]").setAttribute("aria-label", `Remove address ${index + 1}`);
    });
  }

  function enhance(row) {
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "qk-button qk-button-quiet";
    remove.dataset.qkRemove = "";
    remove.textContent = "Remove";
    remove.addEventListener("click", () => {
      row.remove();
      number();
      add.focus();
    });
    row.append(remove);
    row.addEventListener("change", (event) => {
      // Not when the address has changed: a click on a field would find another button in its place.
      if (event.target.tagName === "SELECT") offerFields(row, known);
      showExample(row, known);
    });
    row.addEventListener("input", () => showExample(row, known));
    offerFields(row, known);
    showExample(row, known);
  }

  for (const row of [...list.children]) {
    const isLast = list.children.length === 1;
    if ("qkSpare" in row.dataset && !isLast) row.remove();
    else enhance(row);
  }
  number();
  add.hidden = false;
  add.addEventListener("click", () => {
    const row = template.content.firstElementChild.cloneNode(true);
    for (const item of row.querySelectorAll("[id], [name], [for], [aria-describedby]")) {
      for (const attribute of ["id", "name", "for", "aria-describedby"]) {
        const value = item.getAttribute(attribute);
        if (value) item.setAttribute(attribute, value.replace("__number__", String(next)));
      }
    }
    next += 1;
    list.append(row);
    enhance(row);
    number();
    row.querySelector("select").focus();
  });
}

for (const holder of document.querySelectorAll("[data-qk-handoff]")) setUp(holder);
