/* A box that narrows a long list of check boxes. What is checked always stays in sight. */

import { announce, h } from "./dom.js";
import { enhance } from "./enhance.js";

const MANY = 10;

enhance("div.qk-check", (list) => {
  const rows = [...list.querySelectorAll("label")].filter((label) => label.querySelector("input.qk-check"));
  if (rows.length <= MANY) return;
  const box = h("input", { type: "search", class: "qk-filter", "aria-label": "Narrow the list", placeholder: "Narrow the list" });
  box.addEventListener("input", () => {
    const words = box.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const isHidden = !row.textContent.toLowerCase().includes(words) && !row.querySelector("input").checked;
      row.parentElement.hidden = isHidden;
      shown += isHidden ? 0 : 1;
    }
    announce(shown === 1 ? "1 choice." : `${shown} choices.`);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
  list.before(box);
});
