/* Shows the form of another entry at the side, in a frame of its own; it tells this page what happens in it. */

import { closing, openDialog } from "./dialogs.js";
import { button, h } from "./dom.js";

/** Whether this page stands in a drawer itself; there is no drawer in a drawer. */
export const isFramed = window.parent !== window;

/**
 * Open a form's page in a drawer and return the dialog. `prefill` is a title for a new entry. `onSaved({id, title,
 * status})` hears of each save. `close()` on the returned handle closes without asking.
 */
export function openDrawer(url, { title, prefill = "", onSaved = () => {} }) {
  const address = new URL(url, location.href);
  address.searchParams.set("drawer", "1");
  const opener = document.activeElement;
  const frame = h("iframe", { class: "qk-drawer-frame", title, src: address.href });
  const heading = h("h2", { id: "qk-drawer-title" }, title);
  const missing = h("p", { class: "qk-note", role: "status", hidden: true }, "This can’t be shown here. ",
    h("a", { href: url, target: "_blank", rel: "noopener" }, "Open it in a new tab"));
  let isDirty = false;
  let isHeard = false;

  const close = () => dialog.close("");
  const leave = async () => {
    if (isDirty) {
      const question = openDialog({
        title: "Close without saving?",
        body: "What you have typed here is not saved yet.",
        actions: [closing("Keep editing", "", { isDefault: true }), closing("Close without saving", "leave", { isDangerous: true })],
      });
      if ((await question.answered) !== "leave") return;
    }
    close();
  };
  const dialog = h("dialog", { class: "qk-dialog qk-drawer", "aria-labelledby": heading.id },
    h("div", { class: "qk-dialog-head" }, heading,
      button("", leave, { icon: "x", class: "qk-icon-button", "aria-label": "Close" })),
    missing, frame);

  const hear = (event) => {
    if (event.origin !== location.origin || event.source !== frame.contentWindow) return;
    const { type, ...told } = event.data ?? {};
    if (type === "qk:ready") {
      isHeard = true;
      isDirty = false;
      if (prefill) frame.contentWindow.postMessage({ type: "qk:prefill", text: prefill }, location.origin);
      prefill = "";
    } else if (type === "qk:dirty") isDirty = told.isDirty === true;
    else if (type === "qk:close") leave();
    else if (type === "qk:saved") {
      isDirty = false;
      onSaved({ id: String(told.id), title: String(told.title), status: String(told.status) });
    }
  };
  frame.addEventListener("load", () => {
    // A page that may not be framed (signed out meanwhile, gone) says nothing.
    setTimeout(() => {
      missing.hidden = isHeard;
      frame.hidden = !isHeard;
    }, 500);
  });
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    leave();
  });
  dialog.addEventListener("close", () => {
    window.removeEventListener("message", hear);
    dialog.remove();
    opener?.focus?.();
  });
  window.addEventListener("message", hear);
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, close };
}
