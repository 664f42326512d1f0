/* Keys for the API, made from what people call a thing, until somebody types one. */

/** Return the key that a name stands for: lower-case letters, digits and _, a letter first; "" when nothing is left. */
export function keyOf(name) {
  return name.normalize("NFKD").replace(/[\u0300-\u036f]/gu, "").toLowerCase()
    .replace(/ß/gu, "ss").replace(/[^a-z0-9]+/gu, "_").replace(/^[_0-9]+|_+$/gu, "").slice(0, 40);
}

/** Let a key follow a name until it is touched. `taken()` are keys that stand elsewhere already. */
export function followsName(key, name, taken) {
  let isOurs = true;
  key.addEventListener("input", () => {
    isOurs = key.value === "";
  });
  name.addEventListener("input", () => {
    if (!isOurs) return;
    const plain = keyOf(name.value);
    const others = taken();
    let found = plain;
    for (let number = 2; plain && others.includes(found); number += 1) found = `${plain.slice(0, 37)}_${number}`;
    key.value = found;
  });
}
