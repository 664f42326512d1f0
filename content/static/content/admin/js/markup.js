/* The one place where markup becomes elements: pages of this very server, which wrote every value escaped. */

/** Return the page that the server sent as a document of its own; its scripts never run. */
export function page(text) {
  return new DOMParser().parseFromString(text, "text/html");
}

/** Return the elements of a fragment that the server sent, ready to be put into this document. */
export function fragment(text) {
  const found = document.createDocumentFragment();
  for (const node of [...page(text).body.childNodes]) found.append(document.importNode(node, true));
  return found;
}

/** Put the islands of another page of ours in the place of those with the same name here: `data-island="name"`. */
export function swapIslands(other, root = document) {
  for (const island of root.querySelectorAll("[data-island]")) {
    const fresh = other.querySelector(`[data-island="${CSS.escape(island.dataset.island)}"]`);
    if (fresh) island.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
  }
}
