/* Where inputs ask the server while somebody types: always by POST, so that no content stands in an address. */

import { ask } from "./ask.js";

/** Return what tells this form from others: the collection's address, the entry's id ("" for a new one), the locale. */
export function here() {
  const [, base, entry = ""] = /^(.*\/content\/[^/]+\/)(?:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/)?/u.exec(location.pathname) ?? [];
  return { base, entry, locale: new URLSearchParams(location.search).get("locale") ?? "" };
}

/** Return a function that asks at most once at a time: a new question ends the one before, which answers null. */
export function asking(what, { wait }) {
  let present = new AbortController();
  return async (members) => {
    present.abort();
    present = new AbortController();
    const { signal } = present;
    const { base, entry, locale } = here();
    if (!base) return null;
    await new Promise((resolve) => {
      setTimeout(resolve, wait);
    });
    if (signal.aborted) return null;
    const body = () => {
      const data = new FormData();
      for (const [name, value] of Object.entries({ entry, locale, ...members })) data.set(name, value);
      return data;
    };
    try {
      const answer = await ask(`${base}${what}/`, { method: "POST", body, signal });
      if (answer.ok || answer.headers.get("Content-Type")?.includes("json")) return await answer.json();
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
    }
    return null;
  };
}
