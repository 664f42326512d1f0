// From the CMS to this site and out again: a code becomes a cookie, and a button removes it.

import { exchange, readText } from "./cms.js";
import { verifyToken } from "./claims.js";
import { clearedCookie, setCookie } from "./cookie.js";
import { PreviewRefusedError, PreviewUnavailableError } from "./errors.js";
import type { Keyring } from "./keys.js";
import { empty, page, seeOther, unavailablePage } from "./pages.js";
import { sameSitePath } from "./paths.js";
import type { Settings } from "./settings.js";

const MAX_BODY = 4096;
const CODE = /^[A-Za-z0-9._~-]{1,512}$/;

/** Answer the handoff URL: GET with `code` in the query, or POST with it in the body (`response_mode=form_post`). */
export async function handleHandoff(settings: Settings, keyring: Keyring, request: Request): Promise<Response> {
  // What merely looks ahead must not use up the code.
  if (request.method === "HEAD" || isPrefetch(request)) return empty(204);
  if (request.method !== "GET" && request.method !== "POST") return empty(405, { Allow: "GET, POST" });

  const url = new URL(request.url);
  const path = targetOf(url);
  if (path === null) return page(settings, 400, "This address is not right", "It doesn’t lead to a page of this site.");

  const inQuery = url.searchParams.getAll("code");
  if (request.method === "POST" && inQuery.length > 0) return unusable(settings);
  const codes = request.method === "POST" ? await codesInBody(request) : inQuery;
  if (typeof codes === "number") return page(settings, codes, "This form is not right", "Please press Preview again.");
  const [code, ...others] = codes;
  if (code === undefined || others.length > 0 || !CODE.test(code)) return unusable(settings);

  try {
    const { token } = await exchange(settings, code);
    const preview = await verifyToken(token, settings, keyring);
    const cookie = preview === null ? undefined : setCookie(settings, token, preview.expiresAt);
    if (cookie === undefined) return misconfigured(settings);
    return seeOther(path, cookie);
  } catch (error) {
    if (error instanceof PreviewRefusedError) {
      // The CMS doesn't tell a stale code from a wrong secret, for good reason.
      return error.code === "invalid-code" || error.status !== 401 ? unusable(settings) : misconfigured(settings);
    }
    if (error instanceof PreviewUnavailableError) return unavailablePage(settings, error.retryAfter);
    throw error;
  }
}

/** Answer the exit: POST from a page of this site (`?path=` says where to go then). */
export function leave(settings: Settings, request: Request): Response {
  if (request.method !== "POST") return empty(405, { Allow: "POST" });
  if (!isSameOrigin(request)) {
    return page(settings, 403, "Not from here", "Use the button on the preview to leave it.");
  }
  return seeOther(targetOf(new URL(request.url)) ?? "/", clearedCookie(settings));
}

/** `?path=`, "/" without one, null where it leads elsewhere. */
function targetOf(url: URL): string | null {
  const [path = "/", ...others] = url.searchParams.getAll("path");
  return others.length > 0 ? null : sameSitePath(path, url.origin);
}

/** The codes of a form, or the status to refuse it with. */
async function codesInBody(request: Request): Promise<string[] | number> {
  const type = (request.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase();
  if (type !== "application/x-www-form-urlencoded") return 415;
  if (Number(request.headers.get("content-length") ?? 0) > MAX_BODY) return 413;
  try {
    return new URLSearchParams(await readText(request, MAX_BODY)).getAll("code");
  } catch (error) {
    return error instanceof RangeError ? 413 : 400;
  }
}

function isPrefetch(request: Request): boolean {
  return ["sec-purpose", "purpose", "x-purpose", "x-moz"].some((name) =>
    /\b(?:prefetch|prerender|preview)\b/i.test(request.headers.get(name) ?? ""),
  );
}

/**
 * Browsers say so in Sec-Fetch-Site. Origin alone wouldn't do: with `Referrer-Policy: no-referrer`, which previews
 * have, a form of the same page is sent with `Origin: null`.
 */
function isSameOrigin(request: Request): boolean {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin";
  try {
    // Hosts only: behind a proxy that ends TLS the schemes differ.
    return new URL(request.headers.get("origin") ?? "").host === new URL(request.url).host;
  } catch {
    return false;
  }
}

function unusable(settings: Settings): Response {
  return page(
    settings,
    400,
    "This preview link can’t be used",
    "It works once and for one minute. Press Preview in the CMS again; if this comes back, the site’s client secret is not the one in the CMS.",
  );
}

function misconfigured(settings: Settings): Response {
  return page(
    settings,
    502,
    "This site is not set up for previews",
    "The CMS and this site don’t agree. Please tell whoever looks after the site.",
  );
}
