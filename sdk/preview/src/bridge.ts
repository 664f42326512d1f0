// In the browser, for pages that the CMS shows in a frame beside the editor: reload when it says so, and keep the place.
// It speaks to one origin and listens to one window of that origin (CVE-2026-55660: a preview bridge that didn't).

const KEY = "quillkeep:scroll";

/** Start the bridge; does nothing in a page that isn't framed. Returns a function that stops it. */
export function startBridge({ cmsOrigin }: { readonly cmsOrigin: string }): () => void {
  const origin = exactOrigin(cmsOrigin);
  const parent = window.parent;
  if (parent === window) return () => undefined;

  const onMessage = (event: MessageEvent): void => {
    if (event.origin !== origin || event.source !== parent) return;
    if ((event.data as { type?: unknown } | null)?.type !== "quillkeep:refresh") return;
    try {
      sessionStorage.setItem(KEY, JSON.stringify([location.pathname, window.scrollY]));
    } catch {
      // Storage may be blocked in frames: the page then begins at its top.
    }
    location.reload();
  };
  const onLoad = (): void => {
    try {
      const [path, top] = JSON.parse(sessionStorage.getItem(KEY) ?? "[]") as [unknown?, unknown?];
      sessionStorage.removeItem(KEY);
      if (path === location.pathname && typeof top === "number") window.scrollTo(0, top);
    } catch {
      // As above.
    }
    parent.postMessage({ type: "quillkeep:ready" }, origin);
  };

  window.addEventListener("message", onMessage);
  if (document.readyState === "complete") onLoad();
  else window.addEventListener("load", onLoad, { once: true });
  return () => {
    window.removeEventListener("message", onMessage);
    window.removeEventListener("load", onLoad);
  };
}

/**
 * The same as source text, for `<script nonce="…">` in sites without a bundler. It needs the page's nonce (or its
 * hash in the policy), and holds no character that could end the script element.
 */
export function bridgeScript(cmsOrigin: string): string {
  return `(() => {
  const origin = ${JSON.stringify(exactOrigin(cmsOrigin))}, key = ${JSON.stringify(KEY)}, parent = window.parent;
  if (parent === window) return;
  window.addEventListener("message", (event) => {
    if (event.origin !== origin || event.source !== parent) return;
    if (event.data?.type !== "quillkeep:refresh") return;
    try { sessionStorage.setItem(key, JSON.stringify([location.pathname, window.scrollY])); } catch {}
    location.reload();
  });
  const onLoad = () => {
    try {
      const [path, top] = JSON.parse(sessionStorage.getItem(key) ?? "[]");
      sessionStorage.removeItem(key);
      if (path === location.pathname && typeof top === "number") window.scrollTo(0, top);
    } catch {}
    parent.postMessage({ type: "quillkeep:ready" }, origin);
  };
  if (document.readyState === "complete") onLoad();
  else window.addEventListener("load", onLoad, { once: true });
})();`;
}

/** Throws TypeError unless the text is exactly an origin: "*" and addresses with a path are none. */
function exactOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.origin !== text || !/^https?:\/\/[a-z0-9.:[\]-]+$/.test(text)) {
    throw new TypeError("cmsOrigin must be an origin like https://cms.example.com.");
  }
  return text;
}
