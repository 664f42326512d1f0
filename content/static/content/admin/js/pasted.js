/* Tidies markup that is pasted from word processors and web pages, before the editor reads it. */

import { page } from "./markup.js";

const LISTED = "p[style*='mso-list'], p[class*='MsoListParagraph']";

/** Return markup in which Word's paragraphs that only look like lists are lists, and nothing invisible is left. */
export function tidyPasted(markup) {
  const pasted = page(markup);
  for (const element of pasted.querySelectorAll("style, script, meta, link, title, xml, template")) element.remove();
  for (const element of pasted.querySelectorAll("[style*='display:none'], [style*='mso-hide:all'], [hidden]")) {
    element.remove();
  }
  for (const first of pasted.querySelectorAll(LISTED)) {
    if (first.isConnected && !isListed(first.previousElementSibling)) makeList(first);
  }
  const shell = new XMLSerializer();
  return [...pasted.body.childNodes]
    .filter((node) => node.nodeType !== Node.COMMENT_NODE)
    .map((node) => shell.serializeToString(node))
    .join("");
}

function isListed(element) {
  return Boolean(element?.matches(LISTED) && level(element));
}

/** Return the level of a list paragraph, counted from 1; 0 for one that is none. */
function level(paragraph) {
  const found = /level(\d)/.exec(paragraph.getAttribute("style") ?? "");
  return found ? Number(found[1]) : paragraph.querySelector("[style*='mso-list']") ? 1 : 0;
}

/** Make nested lists of a run of list paragraphs. */
function makeList(first) {
  const open = []; // the lists from the outermost to the present one
  const top = first.ownerDocument.createElement("div");
  first.before(top);
  for (let paragraph = first; isListed(paragraph); ) {
    const next = paragraph.nextElementSibling;
    const marker = paragraph.querySelector("[style*='mso-list']");
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
