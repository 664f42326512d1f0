// Where the handoff may send a browser: a path of this very site, or nowhere (open redirects).

const MAX_LENGTH = 2048;
const PLAIN = /^\/[A-Za-z0-9\-._~!$&'()*+,;=:/?%\p{L}\p{N}\p{M}]*$/u;
// %2f and %5c turn into slashes behind some proxies, %25 hides either of them, %40 begins userinfo, the rest are controls.
const HIDDEN = /%(?:2f|5c|25|40|[01][0-9a-f]|7f|(?![0-9a-f]{2}))/i;
const DOTS = /\/(?:\.|%2e){1,2}(?:[/?]|$)/i;

/**
 * Return the path (with its query) to redirect to, or null.
 * The answer begins with exactly one slash, and holds ASCII only.
 */
export function sameSitePath(path: string, origin: string): string | null {
  if (path.length === 0 || path.length > MAX_LENGTH || !PLAIN.test(path)) return null;
  if (path.includes("//") || HIDDEN.test(path) || DOTS.test(path)) return null;
  if (path.normalize("NFKC") !== path.normalize("NFC")) return null; // full-width slashes, dots and letters
  let resolved: URL;
  try {
    resolved = new URL(path, origin);
  } catch {
    return null;
  }
  if (resolved.origin !== new URL(origin).origin || resolved.username !== "" || resolved.password !== "") return null;
  return resolved.pathname.startsWith("//") ? null : resolved.pathname + resolved.search;
}
