/* Finds the field that a link of ours leads to: `#field-title`, or `#at-f-blocks-0-words` inside of a part. */

/**
 * Return the box of the field. Numbers of parts are names only; with `byPlace` they count the parts as they stand,
 * as on a page that was made after a save, when the form here still has its older numbers.
 */
export function fieldAt(hash, { byPlace = false } = {}) {
  const id = decodeURIComponent(hash.slice(1));
  if (!byPlace || !id.startsWith("at-")) return document.querySelector(`[id="${CSS.escape(id)}"]`);
  const [, , key, ...path] = id.split("-");
  let field = document.querySelector(`[id="${CSS.escape(`field-${key}`)}"]`);
  for (let at = 0; field && at + 1 < path.length; at += 2) {
    const parts = [...(field.querySelector(".qk-part-list")?.children ?? [])].filter((part) => part.matches(".qk-part:not(.qk-removed)"));
    const inner = parts[Number(path[at])]?.querySelectorAll(`.qk-field[data-key="${CSS.escape(path[at + 1])}"]`) ?? [];
    field = [...inner].find((item) => item.closest(".qk-part") === parts[Number(path[at])]) ?? null;
  }
  return field;
}
