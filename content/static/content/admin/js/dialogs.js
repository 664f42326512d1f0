/* Dialogs of the page itself (never alert, confirm or prompt): modal, closed by Escape, focus comes back. */

import { button, h } from "./dom.js";

/**
 * Show a modal dialog and return it. `actions` are buttons; one made by `closing` answers with its value.
 * `dialog.answered` is a promise of that value, "" when people close the dialog. It stands in `parent`.
 */
export function openDialog({ title, body, actions = [], className = "", parent = document.body }) {
  const heading = h("h2", { id: `qk-dialog-${document.querySelectorAll("dialog").length}` }, title);
  const dialog = h("dialog", { class: `qk-dialog ${className}`.trim(), "aria-labelledby": heading.id });
  dialog.append(
    h("div", { class: "qk-dialog-head" }, heading, button("", () => dialog.close(""), {
      icon: "x", class: "qk-icon-button", "aria-label": "Close",
    })),
    h("div", { class: "qk-dialog-body" }, body),
    actions.length ? h("div", { class: "qk-dialog-actions" }, actions) : "",
  );
  dialog.answered = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue);
      dialog.remove();
    });
  });
  parent.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Return a button that closes the dialog around it with a value. */
export function closing(label, value, { isDefault = false, isDangerous = false } = {}) {
  const kind = isDangerous ? "qk-button qk-button-danger" : isDefault ? "qk-button qk-button-primary" : "qk-button";
  return button(label, (event) => event.currentTarget.closest("dialog").close(value), { class: kind });
}
