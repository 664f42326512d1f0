/* Very long text in one box: the direction of each paragraph is not looked for there, as browsers take minutes for it. */

import { enhance } from "./enhance.js";

const LONG = 100_000;

enhance('textarea[dir="auto"]', (box) => {
  const settle = () => {
    const isLong = box.value.length > LONG;
    if (isLong === (box.getAttribute("dir") !== "auto")) return;
    box.setAttribute("dir", isLong ? box.parentElement.closest("[dir=ltr], [dir=rtl]")?.dir || "ltr" : "auto");
  };
  box.addEventListener("input", settle);
  settle();
});
