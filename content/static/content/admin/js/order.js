/* Puts the items of a list in another order: dragged by a handle with mouse or finger, or moved by arrow keys on it. */

import { announce } from "./dom.js";

/**
 * Let people order a list. `item` and `handle` are selectors; items are children of the list. `onMoved(item)` hears of
 * a move when it is done, `nameOf(item)` says what is moved. Items that come later need nothing more.
 */
export function makeSortable(list, { item, handle, onMoved, nameOf = () => "Item" }) {
  const items = () => [...list.children].filter((child) => child.matches(item) && !child.hidden);
  const grabbed = (event) => {
    const grip = event.target.closest(handle);
    const found = grip?.closest(item);
    return found?.parentElement === list ? found : null;
  };
  const told = (moved) => {
    const all = items();
    announce(`${nameOf(moved)} is now number ${all.indexOf(moved) + 1} of ${all.length}.`);
    onMoved(moved);
  };

  list.addEventListener("keydown", (event) => {
    const moved = grabbed(event);
    if (!moved || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
    event.preventDefault();
    const all = items();
    const place = all.indexOf(moved);
    if (event.key === "ArrowUp" && place > 0) all[place - 1].before(moved);
    else if (event.key === "ArrowDown" && place < all.length - 1) all[place + 1].after(moved);
    else return;
    moved.querySelector(handle).focus();
    told(moved);
  });

  list.addEventListener("pointerdown", (event) => {
    const moved = event.button === 0 ? grabbed(event) : null;
    if (moved) drag(moved, event);
  });

  function drag(moved, { clientY: from, pointerId }) {
    const others = items().filter((other) => other !== moved);
    let before; // the item that it will stand in front of, null for the end; undefined while nothing has moved
    const { top } = list.getBoundingClientRect();
    const stop = new AbortController();
    const clear = () => others.forEach((other) => other.classList.remove("qk-drop-before", "qk-drop-after"));

    const follow = (event) => {
      if (event.pointerId !== pointerId) return;
      event.preventDefault();
      moved.classList.add("qk-dragged");
      const scrolled = list.getBoundingClientRect().top - top;
      moved.style.transform = `translateY(${event.clientY - from - scrolled}px)`;
      moved.scrollIntoView({ block: "nearest" });
      clear();
      before = others.find((other) => {
        const box = other.getBoundingClientRect();
        return event.clientY < box.top + box.height / 2;
      }) ?? null;
      (before ?? others.at(-1))?.classList.add(before ? "qk-drop-before" : "qk-drop-after");
    };
    const end = (keep) => {
      stop.abort();
      clear();
      moved.classList.remove("qk-dragged");
      moved.style.transform = "";
      const next = items()[items().indexOf(moved) + 1] ?? null;
      if (!keep || before === undefined || before === next || others.length === 0) return;
      if (before) before.before(moved);
      else others.at(-1).after(moved);
      told(moved);
    };
    const listen = { signal: stop.signal };
    document.addEventListener("pointermove", follow, listen);
    document.addEventListener("pointerup", (event) => event.pointerId === pointerId && end(true), listen);
    document.addEventListener("pointercancel", () => end(false), listen);
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      end(false);
    }, listen);
  }
}
