/* A button beside web and mail addresses that opens them in a new tab. Only schemes that a reader may follow. */

import { h, icon } from "./dom.js";
import { enhance } from "./enhance.js";

enhance("input[data-opens]", (input) => {
  const isMail = input.dataset.opens === "mailto:";
  const link = h("a", {
    class: "qk-icon-button", target: "_blank", rel: "noopener noreferrer",
    "aria-label": isMail ? "Write to this address" : "Open this address in a new tab",
    title: isMail ? "Write to this address" : "Open in a new tab",
  }, icon(isMail ? "mail" : "external-link"));
  const show = () => {
    const text = input.value.trim();
    link.hidden = !(isMail ? /^[^\s@:/?#&]+@[^\s@:/?#&]+$/u.test(text) : /^https?:\/\/[^\s]+$/iu.test(text));
    if (link.hidden) link.removeAttribute("href");
    else link.href = isMail ? `mailto:${text}` : text;
  };
  input.addEventListener("input", show);
  const row = h("div", { class: "qk-opening" });
  input.before(row);
  row.append(input, link);
  show();
});
