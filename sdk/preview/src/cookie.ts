// The site's own cookie, which carries the token: read strictly, written with exactly the attributes it needs.

import type { Settings } from "./settings.js";

/** `__Host-`: no Domain, Path=/, Secure; so neither a sibling host nor plain HTTP can set it. */
export const COOKIE = "__Host-quillkeep-preview";
const MAX_LENGTH = 4096;

/** Anything with headers: a Request, or `{ headers: await headers() }` in Next. */
export interface WithHeaders {
  readonly headers: { get(name: string): string | null };
}

export type Reading = { readonly kind: "none" } | { readonly kind: "bad" } | { readonly kind: "one"; readonly token: string };

/** Read the cookie. Two of that name are "bad": one of them was put there by somebody else. */
export function readCookie(source: WithHeaders): Reading {
  const header = source.headers.get("cookie");
  if (header === null) return { kind: "none" };
  const found: string[] = [];
  for (const pair of header.split(";")) {
    const equals = pair.indexOf("=");
    const name = (equals < 0 ? pair : pair.slice(0, equals)).trim();
    if (name === COOKIE) found.push(equals < 0 ? "" : pair.slice(equals + 1).trim());
  }
  const [token, ...others] = found;
  if (token === undefined) return { kind: "none" };
  if (others.length > 0 || token.length === 0 || token.length > MAX_LENGTH) return { kind: "bad" };
  return { kind: "one", token };
}

/** `Set-Cookie` for a verified token; undefined when it would not fit or has no second left. */
export function setCookie(settings: Settings, token: string, expiresAt: Date): string | undefined {
  const seconds = Math.floor((expiresAt.getTime() - Date.now()) / 1000);
  if (seconds < 1 || token.length > MAX_LENGTH) return undefined;
  return `${COOKIE}=${token}; ${attributes(settings)}; Max-Age=${seconds}`;
}

/**
 * `Set-Cookie` that removes it. Browsers keep partitioned cookies apart, so the attributes have to be the same.
 * With Expires too: Next writes the cookies of a route again and loses a Max-Age of 0.
 */
export function clearedCookie(settings: Settings): string {
  return `${COOKIE}=; ${attributes(settings)}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT`;
}

function attributes(settings: Settings): string {
  return settings.embedded
    ? "Path=/; HttpOnly; Secure; SameSite=None; Partitioned"
    : "Path=/; HttpOnly; Secure; SameSite=Lax";
}
