/* A delivery that is about to be sent: looks again until it has ended. Without a script a link does it. */

import { ask } from "../../../content/admin/js/ask.js";
import { page, swapIslands } from "../../../content/admin/js/markup.js";

const PAUSE = 1000; // milliseconds
const MOST = 40; // times; then something else is wrong

async function look(times) {
  if (!document.querySelector("[data-qk-live]") || times === 0) return;
  // Somebody who is at work inside would lose their place.
  if (!document.hidden && !document.querySelector("[data-island=delivery] :focus")) {
    try {
      const answer = await ask(window.location.href);
      if (answer.ok) swapIslands(page(await answer.text()));
    } catch {
      return; // the server is away, or nobody signed in again
    }
  }
  setTimeout(look, PAUSE, times - 1);
}

setTimeout(look, PAUSE, MOST);
