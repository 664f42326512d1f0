/* Counts characters as a reader does, by the same rule as the server, and never stops anybody from typing. */

import { announce, h } from "./dom.js";
import { enhance } from "./enhance.js";
import { page } from "./markup.js";

const segmenter = globalThis.Intl?.Segmenter ? new Intl.Segmenter("en", { granularity: "grapheme" }) : null;
const DIRECTIONS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g; // content/fields/strings.py
const BLOCKS = "p, h2, h3, h4, li, ul, ol, hr, br, blockquote, pre, table, tr, figure, figcaption";
const LONG = 20_000;
const { format } = new Intl.NumberFormat("en"); // once: a large form has hundreds of counters

/** Return how many characters a reader counts in a text: extended grapheme clusters (Unicode TR 29). */
export function characters(text) {
  if (/^[\x00-\x0c\x0e-\x7f]*$/.test(text)) return text.length;
  const plain = text.replace(DIRECTIONS, "").normalize("NFC");
  let count = 0;
  for (const _ of segmenter ? segmenter.segment(plain) : plain) count += 1;
  return count;
}

enhance("[data-max-length], [data-min-length], [data-words]", (input) => {
  const most = Number(input.dataset.maxLength) || 0;
  const least = Number(input.dataset.minLength) || 0;
  const line = h("p", { class: "qk-counter" });
  let timer = 0;
  let saying = 0;
  const show = () => {
    const text = textOf(input);
    const count = characters(text);
    line.textContent = inWords(text, count, { least, most, words: "words" in input.dataset });
    line.classList.toggle("qk-over", Boolean(most && count > most));
    line.hidden = !line.textContent;
    return count;
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(show, input.value.length > LONG ? 400 : 0);
    clearTimeout(saying);
    saying = setTimeout(() => {
      const left = most - show();
      if (most && left <= Math.max(5, most * 0.1)) announce(leftInWords(left));
    }, 1_000);
  });
  (input.closest(".qk-markdown") ?? input).after(line);
  show();
});

function inWords(text, count, { least, most, words }) {
  const parts = [];
  if (words && text) {
    const number = text.split(/\s+/u).filter(Boolean).length;
    parts.push(number === 1 ? "1 word" : `${format(number)} words`);
  }
  if (most) {
    parts.push(`${format(count)} of ${format(most)}`);
    if (count > most) parts.push(`${format(count - most)} too many`);
  }
  if (least && count && count < least) parts.push(`at least ${least}`);
  return parts.join(" · ");
}

function leftInWords(left) {
  if (left < 0) return `${-left} ${left === -1 ? "character" : "characters"} too many.`;
  return `${left} ${left === 1 ? "character" : "characters"} left.`;
}

/** Return what is counted: a line without the spaces around it, of rich text its words. */
function textOf(input) {
  if (input.matches("[data-rich]")) {
    const body = page(input.value).body;
    for (const block of body.querySelectorAll(BLOCKS)) {
      block.before("\n");
      block.after("\n");
    }
    return body.textContent.split("\n").map((line) => line.trim()).filter(Boolean).join("\n");
  }
  return input.tagName === "INPUT" ? input.value.trim() : input.value;
}
