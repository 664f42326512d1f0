/* A swatch beside the text of a colour, kept in step; and whether black or white words can be read on it. */

import { changed, h } from "./dom.js";
import { enhance } from "./enhance.js";

const COLOUR = /^#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$/iu;

enhance("input[data-color]", (input) => {
  const label = input.closest(".qk-field")?.dataset.label || input.labels?.[0]?.textContent.trim() || "Colour";
  const swatch = h("input", { type: "color", class: "qk-swatch", "aria-label": `Choose “${label}”` });
  const said = h("p", { class: "qk-said" });
  const show = () => {
    const text = input.value.trim();
    const isColour = COLOUR.test(text);
    input.classList.toggle("qk-odd", Boolean(text) && !isColour);
    swatch.classList.toggle("qk-unset", !isColour);
    if (isColour) swatch.value = full(text).slice(0, 7);
    said.textContent = isColour
      ? contrastInWords(full(text))
      : text ? "Not a colour yet: # and 3, 4, 6 or 8 of the digits 0–9 and a–f, such as #1d4ed8." : "";
  };
  input.addEventListener("input", show);
  swatch.addEventListener("input", () => {
    const opacity = COLOUR.test(input.value.trim()) ? full(input.value.trim()).slice(7) : "";
    input.value = swatch.value + opacity;
    changed(input);
  });
  const row = h("div", { class: "qk-colour" });
  input.before(row);
  row.append(swatch, input);
  row.after(said);
  show();
});

function full(text) {
  const digits = text.slice(1).toLowerCase();
  return `#${digits.length > 4 ? digits : [...digits].map((digit) => digit + digit).join("")}`;
}

function contrastInWords(colour) {
  const opacity = colour.length > 7 ? Number.parseInt(colour.slice(7), 16) / 255 : 1;
  const light = [1, 3, 5]
    .map((at) => (Number.parseInt(colour.slice(at, at + 2), 16) / 255) * opacity + (1 - opacity))
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const words = (name, ratio) => {
    const judged = ratio >= 7 ? "easy to read" : ratio >= 4.5 ? "readable" : ratio >= 3 ? "readable when large" : "hard to read";
    return `${name} ${(Math.floor(ratio * 10) / 10).toFixed(1)} to 1 (${judged})`;
  };
  const where = opacity < 1 ? "Text on it, over white" : "Text on it";
  return `${where}: ${words("black", (light + 0.05) / 0.05)}, ${words("white", 1.05 / (light + 0.05))}.`;
}
