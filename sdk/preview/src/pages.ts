// Small answers in words, for the few moments when there is no page to show. They never repeat what was sent.

import { ancestors } from "./headers.js";
import type { Settings } from "./settings.js";

/** A page of one sentence or two. */
export function page(
  settings: Settings,
  status: number,
  title: string,
  text: string,
  fields: Record<string, string> = {},
): Response {
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>${title}</title></head>
<body><main><h1>${title}</h1><p>${text}</p></main></body></html>
`;
  return new Response(html, {
    status,
    headers: {
      ...bare(),
      "Content-Type": "text/html; charset=utf-8",
      "Content-Security-Policy": `default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors ${ancestors(settings)}`,
      "Cross-Origin-Opener-Policy": "same-origin",
      ...fields,
    },
  });
}

/** An answer without a body. */
export function empty(status: number, fields: Record<string, string> = {}): Response {
  return new Response(null, { status, headers: { ...bare(), ...fields } });
}

/** 303 to a path of this site. Relative: what is in front of the site may know it by another name. */
export function seeOther(path: string, cookie: string): Response {
  return empty(303, { Location: path, "Set-Cookie": cookie });
}

/** Nobody can say whether the preview is allowed: so it isn't shown. */
export function unavailablePage(settings: Settings, retryAfter?: number): Response {
  return page(
    settings,
    503,
    "The preview can’t be checked right now",
    "Please try again in a moment. The published page is not affected.",
    retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) },
  );
}

function bare(): Record<string, string> {
  return {
    "Cache-Control": "private, no-store, max-age=0",
    "X-Robots-Tag": "noindex, nofollow",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
  };
}
