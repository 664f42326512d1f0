/* Comfort for lists: a box that selects the page, ranges with Shift, how many are selected, "/" for the search, menus. */

import { announce } from "./dom.js";

const boxes = [...document.querySelectorAll("[data-qk-row]")];
const all = document.querySelector("[data-qk-all]");
const bar = document.querySelector("[data-qk-bulk]");
let last = null;

function tell() {
  const count = boxes.filter((box) => box.checked).length;
  if (all) {
    all.checked = count > 0 && count === boxes.length;
    all.indeterminate = count > 0 && count < boxes.length;
  }
  if (!bar) return;
  bar.hidden = count === 0;
  const text = `${count} selected`;
  bar.querySelector("[data-qk-count]").textContent = text;
  if (count) announce(text);
}

for (const box of boxes) {
  box.addEventListener("click", (event) => {
    if (event.shiftKey && last && last !== box) {
      const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
      for (const between of boxes.slice(from, to + 1)) between.checked = box.checked;
    }
    last = box;
    tell();
  });
}

if (all) {
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    tell();
  });
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select, [contenteditable], dialog");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.querySelector("[data-qk-search]")?.focus();
  }
  const menu = event.key === "Escape" && event.target.closest(".qk-list-menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(".qk-list-menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

/* A panel that would reach over the edge of the page stands under the other end of its button. */
function place(menu) {
  const panel = menu.querySelector(".qk-list-panel");
  panel.classList.remove("qk-turned");
  const { left, right } = panel.getBoundingClientRect();
  panel.classList.toggle("qk-turned", menu.open && (left < 0 || right > document.documentElement.clientWidth));
}

for (const menu of document.querySelectorAll(".qk-list-menu")) {
  menu.addEventListener("toggle", () => place(menu));
  if (menu.open) place(menu);
}

window.addEventListener("pageshow", tell);
if (boxes.length) tell();
