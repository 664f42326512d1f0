// The site's server: published pages are files; a request that carries the preview cookie gets the draft's route.
// Astro's own middleware doesn't run for prerendered pages, so the choice is made here, before Astro. Nothing is
// permitted here: the route verifies the cookie itself, and falls back to the file.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { extname, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { createPreview } from "@quillkeep/preview";
import { handler } from "./dist/server/entry.mjs";
import { config, policy, previewOptions } from "./src/lib/config.mjs";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};
const WITH_DRAFT = /^\/blog\/[^/]+$/;
// All that Astro is asked for: it has endpoints of its own (images, islands), which nobody needs here.
const ON_REQUEST = ["/api/preview", "/api/preview/exit"];

const preview = created();
const files = readFiles(fileURLToPath(new URL("dist/client/", import.meta.url)));

/** The preview, or the end of the process with what is wrong with the options. */
function created() {
  try {
    return createPreview(previewOptions());
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}

/** All files of the build by their path here. What isn't in this map can't be asked for. */
function readFiles(root) {
  const found = new Map();
  for (const entry of readdirSync(root, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const file = `${entry.parentPath ?? entry.path}/${entry.name}`;
    const type = TYPES[extname(file)];
    if (type === undefined) continue;
    const path = `/${relative(root, file).split(sep).join("/")}`;
    const body = readFileSync(file);
    const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
    found.set(path.replace(/(?:index)?\.html$/, ""), { body, type, etag, isPage: type === TYPES[".html"] });
  }
  return found;
}

/** The published page of a path, as everybody may have it and keep it. */
function published(path) {
  const found = path === "/404" ? undefined : files.get(path);
  const file = found ?? files.get("/404");
  return new Response(file.body, {
    status: found === undefined ? 404 : 200,
    headers: {
      "Content-Type": file.type,
      "Cache-Control": file.isPage ? "public, max-age=0, must-revalidate" : "public, max-age=31536000, immutable",
      ...(found !== undefined && { ETag: file.etag }),
      "Content-Security-Policy": policy(),
      "Cross-Origin-Opener-Policy": "same-origin",
      "Referrer-Policy": "strict-origin-when-cross-origin",
      "X-Content-Type-Options": "nosniff",
    },
  });
}

async function send(response, request, res) {
  const isKnown = response.status === 200 && request.headers["if-none-match"] === response.headers.get("etag");
  for (const [name, value] of response.headers) {
    if (name !== "set-cookie") res.setHeader(name, value);
  }
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) res.setHeader("set-cookie", cookies);
  res.writeHead(isKnown ? 304 : response.status);
  res.end(isKnown ? undefined : Buffer.from(await response.arrayBuffer()));
}

async function answer(request, res) {
  // This site knows its own name; no header of a client changes it.
  for (const name of Object.keys(request.headers)) {
    if (name === "forwarded" || name.startsWith("x-forwarded-")) delete request.headers[name];
  }
  request.headers.host = config.siteUrl.host;

  const path = pathOf(request.url);
  if (path === null) return send(published("/404"), request, res);
  const isRead = request.method === "GET" || request.method === "HEAD";
  const hasCookie = preview.hasCookie({ headers: new Headers({ cookie: request.headers.cookie ?? "" }) });

  if (isRead && hasCookie && WITH_DRAFT.test(path)) {
    request.url = `/preview${request.url}`;
    return handler(request, res, undefined, { published: () => published(path) });
  }
  if (ON_REQUEST.includes(path)) return handler(request, res);
  if (!isRead) return res.writeHead(405, { Allow: "GET, HEAD", "Cache-Control": "no-store" }).end();
  // In preview mode nothing may be kept, whichever page it is.
  return send(hasCookie ? preview.withPreviewHeaders(published(path)) : published(path), request, res);
}

/** The decoded path of a request, or null: an address like `//evil.example` is none of ours. */
function pathOf(target) {
  try {
    const url = new URL(target, config.siteUrl);
    return url.origin === config.siteUrl.origin && !target.startsWith("//") ? decodeURIComponent(url.pathname) : null;
  } catch {
    return null;
  }
}

function onRequest(request, res) {
  answer(request, res).catch((error) => {
    console.error(error instanceof Error ? error.message : "unknown error");
    if (!res.headersSent) res.writeHead(500, { "Cache-Control": "no-store" });
    res.end();
  });
}

const server =
  config.tls === null
    ? createHttpServer(onRequest)
    : createHttpsServer({ cert: readFileSync(config.tls.cert), key: readFileSync(config.tls.key) }, onRequest);
server.listen(config.port, config.host, () => console.log(`${config.siteUrl.origin} shows ${config.cmsUrl}`));
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  });
}
