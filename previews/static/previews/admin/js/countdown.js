/* Counts down what previews have left, by this browser's own seconds: its clock may be wrong. */

const ends = new WeakMap(); // element → when, in milliseconds

/** Let an element count down from now on; "qk:over" is dispatched on it at the end. */
export function count(element, seconds) {
  ends.set(element, Date.now() + seconds * 1000);
  element.dataset.qkSeconds = seconds;
  delete element.dataset.over;
  draw();
}

/** Let an element count no more, and say nothing. */
export function stop(element) {
  delete element.dataset.qkSeconds;
  element.textContent = "";
}

export function draw() {
  for (const element of document.querySelectorAll("[data-qk-seconds]")) {
    if (!ends.has(element)) ends.set(element, Date.now() + Number(element.dataset.qkSeconds) * 1000);
    const left = Math.max(0, Math.ceil((ends.get(element) - Date.now()) / 1000));
    const text = `${String(Math.floor(left / 60)).padStart(2, "0")}:${String(left % 60).padStart(2, "0")}`;
    if (element.textContent !== text) element.textContent = text;
    element.classList.toggle("qk-ending", left <= 60);
    if (!left && !element.dataset.over) {
      element.dataset.over = "1";
      element.dispatchEvent(new CustomEvent("qk:over", { bubbles: true }));
    }
  }
}

setInterval(draw, 1000);
document.addEventListener("qk:saved", draw); // with a new list
draw();
