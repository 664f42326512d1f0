// What every answer in preview mode must say, so that no cache, robot or other site gets hold of a draft.

import type { Settings } from "./settings.js";

/** Header fields of a page that shows a draft. */
export function headersOf(settings: Settings): Record<string, string> {
  return {
    "Cache-Control": "private, no-store, max-age=0",
    "X-Robots-Tag": "noindex, nofollow",
    "Referrer-Policy": "no-referrer",
    Vary: "Cookie",
    ...(settings.embedded && { "Content-Security-Policy": `frame-ancestors ${ancestors(settings)}` }),
  };
}

/** Who may frame this site's pages. */
export function ancestors(settings: Settings): string {
  return settings.embedded ? `'self' ${settings.cmsOrigin}` : "'none'";
}

/** Return the answer with these fields: a policy is added to the site's own one (both hold), the others are replaced. */
export function withHeaders(response: Response, fields: Record<string, string>): Response {
  const answer = writable(response);
  for (const [name, value] of Object.entries(fields)) {
    if (name === "Content-Security-Policy") answer.headers.append(name, value);
    else if (name === "Vary") addToVary(answer.headers, value);
    else answer.headers.set(name, value);
  }
  // Some servers and CDNs obey these before Cache-Control.
  for (const name of ["Surrogate-Control", "Expires", "ETag", "Last-Modified"]) answer.headers.delete(name);
  return answer;
}

/** The answer itself, as frameworks hang their cookies on it; a copy where its headers can't be changed. */
function writable(response: Response): Response {
  try {
    response.headers.delete("CDN-Cache-Control");
    return response;
  } catch {
    const copy = new Response(response.body, response);
    copy.headers.delete("CDN-Cache-Control");
    return copy;
  }
}

function addToVary(headers: Headers, name: string): void {
  const names = (headers.get("vary") ?? "").split(",").map((each) => each.trim().toLowerCase());
  if (!names.includes(name.toLowerCase())) headers.append("Vary", name);
}
