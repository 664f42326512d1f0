/* Comfort in the form of an entry. Everything works without it. */

/* Press Ctrl+S or Cmd+S to save. */
const form = document.querySelector("[data-qk-form]");
document.addEventListener("keydown", (event) => {
  if (form && (event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "s") {
    const save = form.querySelector(".submit-row [name=_save]");
    if (save) {
      event.preventDefault();
      form.requestSubmit(save);
    }
  }
});

/* A second click on a button that is on its way does nothing. */
form?.addEventListener("submit", (event) => {
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "1";
  window.addEventListener("pageshow", () => delete form.dataset.sent, { once: true });
});

/* An address with a place in it (#field-steps) would stay through saving, and hide what the next page says on top. */
form?.setAttribute("action", `${location.pathname}${location.search}`);

/* Choosing what to add asks for the page with it at once, and comes back to the same field. */
for (const add of document.querySelectorAll(".qk-add")) {
  const button = add.querySelector("button");
  const field = add.closest(".qk-field");
  if (field) button.formAction = `${location.pathname}${location.search}#${field.id}`;
  add.querySelector("select").addEventListener("change", () => form.requestSubmit(button));
}

/* Parts move by buttons; their place goes into the number that is sent. */
function renumber(parts) {
  parts.querySelectorAll(":scope > .qk-part > .qk-part-tools > .qk-order").forEach((input, index) => {
    input.value = index + 1;
  });
}
function tool(text, label, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.setAttribute("aria-label", label);
  button.addEventListener("click", act);
  return button;
}
for (const part of document.querySelectorAll("fieldset.qk-part")) {
  const tools = part.querySelector(":scope > .qk-part-tools");
  if (!tools) continue;
  const name = part.querySelector(":scope > legend").textContent;
  const up = tool("↑", `Move up: ${name}`, () => {
    const before = part.previousElementSibling;
    if (before?.matches(".qk-part")) before.before(part);
    renumber(part.parentElement);
    up.focus();
  });
  const down = tool("↓", `Move down: ${name}`, () => {
    const after = part.nextElementSibling;
    if (after?.matches(".qk-part")) after.after(part);
    renumber(part.parentElement);
    down.focus();
  });
  tools.prepend(up, down);
  const remove = tools.querySelector(".qk-delete input");
  const mark = () => part.classList.toggle("qk-removed", remove.checked);
  remove?.addEventListener("change", mark);
  if (remove) mark();
}

/* A reference field that can't offer every entry finds the others by words. */
for (const field of document.querySelectorAll("[data-choices]")) {
  const value = field.querySelector(".qk-value");
  const find = document.createElement("input");
  find.type = "search";
  find.className = "qk-find vTextField";
  find.placeholder = "Find more entries by title";
  find.setAttribute("aria-label", find.placeholder);
  let waiting;
  find.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      for (const address of field.dataset.choices.split(" ")) {
        const answer = await fetch(`${address}?${new URLSearchParams({ q: find.value })}`);
        if (!answer.ok) continue;
        const { choices } = await answer.json();
        for (const select of value.querySelectorAll("select")) {
          const known = new Set([...select.options].map((option) => option.value));
          for (const { id, title } of choices) if (!known.has(id)) select.add(new Option(title, id));
        }
      }
    }, 300);
  });
  value.prepend(find);
}
