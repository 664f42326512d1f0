/* Comfort is given to elements as they arrive: on load, and when a fragment is put into the page later. */

const known = [];

/** Call `act(element)` once for each element that matches, now and whenever `enhanceWithin` brings new ones. */
export function enhance(selector, act) {
  const entry = { selector, act, done: new WeakSet() };
  known.push(entry);
  run(entry, document);
}

/** Give comfort to everything inside of a fragment that has been put into the page. */
export function enhanceWithin(root) {
  for (const entry of known) run(entry, root);
}

function run({ selector, act, done }, root) {
  const found = [...root.querySelectorAll(selector)];
  if (root instanceof Element && root.matches(selector)) found.unshift(root);
  for (const element of found) {
    if (done.has(element)) continue;
    done.add(element);
    act(element);
  }
}
