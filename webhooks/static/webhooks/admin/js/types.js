/* The form of an endpoint: examples of what is ticked alone, all of a kind in one tick, collections when they count. */

const boxes = [...document.querySelectorAll("[data-qk-types] input[type=checkbox]")];
const examples = [...document.querySelectorAll("[data-qk-examples] [data-type]")];
const none = document.querySelector("[data-qk-examples] [data-qk-none]");
const about = [...document.querySelectorAll("[name=about]")];
const collections = document.querySelector(".field-collections");
const before = new Map(); // box → whether it was ticked before all of its kind was

/** Tell whether a type is heard of, by itself or by all of its kind. */
function isHeard(type) {
  const group = `${type.split(".")[0]}.*`;
  return boxes.some((box) => box.checked && (box.value === type || box.value === group));
}

/** What all of a kind covers is ticked and fixed, and not sent along; without it, each is as it was. */
function cover(group) {
  const kind = group.value.slice(0, -1);
  for (const box of boxes.filter((item) => item !== group && item.value.startsWith(kind))) {
    if (group.checked && !box.disabled) before.set(box, box.checked);
    if (group.checked !== box.disabled) box.checked = group.checked || before.get(box);
    box.disabled = group.checked;
  }
}

function follow() {
  for (const group of boxes.filter((box) => box.value.endsWith(".*"))) cover(group);
  for (const example of examples) example.hidden = !isHeard(example.dataset.type);
  none.hidden = examples.some((example) => !example.hidden);
}

function narrow() {
  collections.hidden = !about.some((radio) => radio.checked && radio.value === "these");
}

for (const box of boxes) {
  box.addEventListener("change", () => {
    follow();
    if (!box.checked) return;
    const kind = box.value.replace("*", "");
    const shown = examples.find((example) => example.dataset.type.startsWith(kind));
    if (!shown) return;
    for (const example of examples) example.open = example === shown;
  });
}
for (const radio of about) radio.addEventListener("change", narrow);
if (none && boxes.length) follow();
if (collections && about.length) narrow();
