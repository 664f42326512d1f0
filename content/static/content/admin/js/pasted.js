/* Tidies markup that is pasted from word processors and web pages, before the editor reads it. */

import { page } from "./markup.js";

const LISTED = "p[data-style*='mso-list'], p[class*='MsoListParagraph']";
// What a style says that the editor keeps, and the element that says it there.
const MEANT = [
  [/font-weight:\s*(?:bold|[6-9]00)/iu, "strong"],
  [/font-style:\s*italic/iu, "em"],
  [/text-decoration(?:-line)?:[^;]*underline/iu, "u"],
  [/text-decoration(?:-line)?:[^;]*line-through/iu, "s"],
];

/** Return markup in which Word's paragraphs that only look like lists are lists, and nothing invisible is left. */
export function tidyPasted(markup) {
  const pasted = page(madePlain(markup));
  for (const element of pasted.querySelectorAll("script, meta, link, title, xml, template")) element.remove();
  for (const element of pasted.querySelectorAll("[data-style*='display:none' i], [data-style*='mso-hide:all' i], [hidden]")) {
    element.remove();
  }
  for (const first of pasted.querySelectorAll(LISTED)) {
    if (first.isConnected && !isListed(first.previousElementSibling)) makeList(first);
  }
  for (const element of pasted.querySelectorAll("[data-style]")) meanIt(element);
  const shell = new XMLSerializer();
  return [...pasted.body.childNodes]
    .filter((node) => node.nodeType !== Node.COMMENT_NODE)
    .map((node) => shell.serializeToString(node))
    .join("");
}

/** The policy refuses styles and handlers wherever markup is read, and says so for each: they are made plain before. */
function madePlain(markup) {
  return markup
    .replace(/<style[^>]*>[\s\S]*?<\/style\s*>/giu, "")
    .replace(/<[a-z][^<>]*>/giu, (tag) => tag.replace(/(["'\s/])(style|on[a-z]+)(\s*=)/giu, "$1 data-$2$3"));
}

/** Put elements in the place of styles: word processors on the web mark bold and italic words by nothing else. */
function meanIt(element) {
  const style = element.dataset.style;
  delete element.dataset.style;
  if (element.matches("b, strong") && /font-weight:\s*(?:normal|[1-5]00)/iu.test(style)) {
    element.replaceWith(...element.childNodes);
    return;
  }
  if (!element.matches("span, a, font")) return;
  for (const [pattern, name] of MEANT) {
    if (!pattern.test(style) || element.closest(name) || (name === "u" && element.matches("a"))) continue;
    const inner = element.ownerDocument.createElement(name);
    inner.append(...element.childNodes);
    element.append(inner);
  }
}

function isListed(element) {
  return Boolean(element?.matches(LISTED) && level(element));
}

/** Return the level of a list paragraph, counted from 1; 0 for one that is none. */
function level(paragraph) {
  const found = /level(\d)/.exec(paragraph.dataset.style ?? "");
  return found ? Number(found[1]) : paragraph.querySelector("[data-style*='mso-list']") ? 1 : 0;
}

/** Make nested lists of a run of list paragraphs. */
function makeList(first) {
  const open = []; // the lists from the outermost to the present one
  const top = first.ownerDocument.createElement("div");
  first.before(top);
  for (let paragraph = first; isListed(paragraph); ) {
    const next = paragraph.nextElementSibling;
    const marker = paragraph.querySelector("[data-style*='mso-list']");
    const name = /^\W*[0-9a-z]+[.)]/i.test(marker?.textContent.trim() ?? "") ? "ol" : "ul";
    marker?.remove();
    const depth = Math.min(level(paragraph), open.length + 1);
    open.length = Math.min(open.length, depth);
    if (open.length < depth) {
      const list = paragraph.ownerDocument.createElement(name);
      (open.at(-1)?.lastElementChild ?? top).append(list);
      open.push(list);
    }
    const item = paragraph.ownerDocument.createElement("li");
    const words = paragraph.ownerDocument.createElement("p");
    words.append(...paragraph.childNodes);
    item.append(words);
    open.at(-1).append(item);
    paragraph.remove();
    paragraph = next;
  }
  top.replaceWith(...top.childNodes);
}
