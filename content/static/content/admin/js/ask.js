/* Asks the server. A session that has ended meanwhile is begun again in a dialog, and the question asked once more. */

import { signInAgain } from "./session.js";

/** Return the token against forged requests that stands in the page. */
export function token() {
  return document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
}

/**
 * Return the answer. `body` is a function that makes the FormData (it is asked again after signing in), or nothing.
 * Rejects with TypeError when the server can't be reached, and with AbortError when people don't sign in again.
 */
export async function ask(url, { method = "GET", body = null, signal = undefined, tries = 2 } = {}) {
  const data = body?.();
  const headers = { "X-Requested-With": "quillkeep" };
  if (method !== "GET") {
    headers["X-CSRFToken"] = token();
    data?.set("csrfmiddlewaretoken", token());
  }
  const answer = await fetch(url, { method, body: data, headers, signal });
  if (answer.status !== 401 || tries === 0) return answer;
  await signInAgain();
  return ask(url, { method, body, signal, tries: tries - 1 });
}
