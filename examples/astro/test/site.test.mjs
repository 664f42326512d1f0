// The whole way, over HTTP: the site is built and started against a stub of the CMS. Overwrites `dist/`.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { fileURLToPath } from "node:url";
import { after, before, beforeEach, test } from "node:test";
import { articles, startCms } from "../../../sdk/preview/test/stub-cms.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PORT = 4399;
const SITE = `http://localhost:${PORT}`;
const PRIVATE = "private, no-store, max-age=0";
const [CHANGED, OTHER, NEW] = articles();
const PAGE = `/blog/${CHANGED.slug}`;

let cms, site, output = "";

before(async () => {
  cms = await startCms({ documents: articles() });
  const env = {
    ...process.env,
    CMS_URL: cms.url,
    SITE_ID: cms.siteId,
    CLIENT_SECRET: cms.clientSecret,
    PORT: String(PORT),
    HOST: "127.0.0.1",
    EMBEDDED: "true",
  };
  // Asynchronous on purpose: the stub answers from this very process.
  const build = spawn("npm", ["run", "build"], { cwd: ROOT, env, stdio: "ignore" });
  assert.deepEqual(await once(build, "exit"), [0, null]);
  site = spawn("node", ["server.mjs"], { cwd: ROOT, env });
  for (const stream of [site.stdout, site.stderr]) stream.on("data", (text) => (output += text));
  for (let tries = 0; !output.includes("shows") && tries < 100; tries += 1) await new Promise((r) => setTimeout(r, 100));
});
after(async () => {
  site.kill("SIGTERM");
  await once(site, "exit");
  await cms.stop();
});
beforeEach(() => Object.assign(cms.state, { jwksStatus: 200, draftStatus: 200, revoked: false }));

/** `fetch` would tidy addresses up and refuse some headers. */
function ask(path, { method = "GET", headers = {}, body, token } = {}) {
  const cookie = token === undefined ? {} : { cookie: `__Host-quillkeep-preview=${token}` };
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: "127.0.0.1", port: PORT, path, method, headers: { ...cookie, ...headers } }, async (res) => {
      let text = "";
      for await (const part of res) text += part;
      resolve({ status: res.statusCode, headers: res.headers, text });
    });
    sent.on("error", reject).end(body);
  });
}
async function enter(entry, path) {
  const answer = await ask(`/api/preview?path=${path}&code=${cms.issue(entry._id)}`);
  assert.deepEqual([answer.status, answer.headers.location], [303, path]);
  return /=([^;]+)/.exec(answer.headers["set-cookie"][0])[1];
}
const isPublished = ({ status, headers, text }) => {
  assert.equal(status, 200);
  assert.match(text, /salt water/);
  assert.doesNotMatch(text, /sea water|Draft preview/);
  return headers;
};

test("everybody gets the static page, which may be kept", async () => {
  const headers = isPublished(await ask(PAGE));
  assert.equal(headers["cache-control"], "public, max-age=0, must-revalidate");
  assert.equal(headers.vary, undefined);
  assert.equal(headers["set-cookie"], undefined);
  assert.match(headers["content-security-policy"], /script-src 'none'/);
  const again = await ask(PAGE, { headers: { "if-none-match": headers.etag } });
  assert.deepEqual([again.status, again.text], [304, ""]);
});

test("a code leads to the draft, at the same address", async () => {
  const token = await enter(CHANGED, PAGE);
  const { status, headers, text } = await ask(PAGE, { token });
  assert.equal(status, 200);
  assert.match(text, /How we print with sea water/);
  assert.match(text, /Draft preview/);
  assert.equal(headers["cache-control"], PRIVATE);
  assert.equal(headers["x-robots-tag"], "noindex, nofollow");
  assert.equal(headers["referrer-policy"], "no-referrer");
  assert.equal(headers.vary, "Cookie");
  assert.match(headers["content-security-policy"], new RegExp(`frame-ancestors 'self' ${cms.url}`));
  const nonce = /'nonce-([^']+)'/.exec(headers["content-security-policy"])[1];
  for (const [tag] of text.matchAll(/<script[^>]*>/g)) assert.ok(tag.includes(`nonce="${nonce}"`), tag);
  assert.doesNotMatch(text, / style=| on[a-z]+=/);
  assert.ok(!text.includes(token));
});

test("a form does the same", async () => {
  const answer = await ask(`/api/preview?path=${PAGE}`, {
    method: "POST",
    body: `code=${cms.issue(CHANGED._id)}`,
    headers: { "content-type": "application/x-www-form-urlencoded", origin: cms.url, "sec-fetch-site": "cross-site" },
  });
  assert.deepEqual([answer.status, answer.headers.location], [303, PAGE]);
  assert.match(answer.headers["set-cookie"][0], /; Path=\/; HttpOnly; Secure; SameSite=None; Partitioned; Max-Age=/);
});

test("a draft that was never published is there with the cookie only", async () => {
  const path = `/blog/${NEW.slug}`;
  assert.equal((await ask(path)).status, 404);
  const token = await enter(NEW, path);
  const { status, text } = await ask(path, { token });
  assert.equal(status, 200);
  assert.match(text, /A visit from the inspector/);
  assert.match(text, /action="\/api\/preview\/exit\?path=%2F"/);
});

test("a draft with a new slug is at both addresses", async () => {
  const [changed] = cms.state.documents;
  const before = changed.$draft;
  changed.$draft = { ...before, slug: "sea-water" };
  const token = await enter(CHANGED, PAGE);
  for (const path of [PAGE, "/blog/sea-water"]) assert.match((await ask(path, { token })).text, /sea water/, path);
  assert.equal((await ask("/blog/sea-water")).status, 404);
  changed.$draft = before;
});

test("other pages show what is published, and nobody keeps them", async () => {
  const token = await enter(CHANGED, PAGE);
  for (const path of ["/", `/blog/${OTHER.slug}`]) {
    const { status, headers, text } = await ask(path, { token });
    assert.deepEqual([status, headers["cache-control"], headers.etag], [200, PRIVATE, undefined]);
    assert.doesNotMatch(text, /sea water|Draft preview/);
    assert.equal(headers["set-cookie"], undefined);
  }
  assert.equal((await ask("/blog/no-such", { token })).status, 404);
});

test("after a revocation the published page is shown and the cookie goes", async () => {
  const token = await enter(CHANGED, PAGE);
  cms.state.revoked = true;
  const headers = isPublished(await ask(PAGE, { token }));
  assert.equal(headers["cache-control"], PRIVATE);
  assert.deepEqual(headers["set-cookie"], ["__Host-quillkeep-preview=; Path=/; HttpOnly; Secure; SameSite=None; Partitioned; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]);
});

test("so it is with a cookie that is forged, of another site, or twice", async () => {
  const token = cms.token();
  for (const cookie of ["x", cms.token({ aud: "another" }), `${token}; __Host-quillkeep-preview=${token}`]) {
    const headers = isPublished(await ask(PAGE, { token: cookie }));
    assert.equal(headers["cache-control"], PRIVATE);
    assert.match(headers["set-cookie"][0], /Max-Age=0/);
    assert.equal(headers["set-cookie"].length, 1);
  }
});

test("while nobody can check, no draft is shown, and the public notices nothing", async () => {
  const token = await enter(CHANGED, PAGE);
  cms.state.draftStatus = 503;
  const { status, headers, text } = await ask(PAGE, { token });
  assert.deepEqual([status, headers["cache-control"]], [503, PRIVATE]);
  assert.doesNotMatch(text, /sea water/);
  isPublished(await ask(PAGE));
});

test("headers that somebody made up change nothing", async () => {
  const made = {
    "x-draft-id": CHANGED._id,
    "x-draft-mode": "1",
    "x-preview-token": cms.token(),
    "x-middleware-subrequest": "src/middleware:src/middleware",
    "x-middleware-rewrite": `/preview${PAGE}`,
    "x-astro-path": `/preview${PAGE}`,
    "x-astro-locals": '{"preview":{}}',
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "gopher",
    "x-original-url": `/preview${PAGE}`,
    host: "evil.example",
  };
  const plain = await ask(PAGE);
  const spoofed = await ask(PAGE, { headers: made });
  const bare = ({ date: _, ...headers }) => headers;
  assert.deepEqual([spoofed.text, bare(spoofed.headers)], [plain.text, bare(plain.headers)]);
  assert.doesNotMatch((await ask(`/api/preview?path=/&code=x`, { headers: made })).text, /evil/);
});

test("the draft's route and Astro's own are not reached from outside", async () => {
  for (const path of [`/preview${PAGE}`, `/preview${PAGE}?x`, "/_image?href=http://127.0.0.1/", "/_server-islands/x", "/404", "/.env", "/server/entry.mjs"]) {
    for (const token of [undefined, cms.token()]) assert.equal((await ask(path, { token })).status, 404, path);
  }
  for (const path of ["//evil.example", "//evil.example/..", "/\\evil.example", "/%2e%2e/server.mjs", "/..%2fserver.mjs", "/%", "*", "/%00", "http://evil.example/"]) {
    const { status, headers } = await ask(path);
    assert.deepEqual([status, headers.location], [404, undefined], path);
  }
});

test("redirects lead nowhere else, and the code is not spent", async () => {
  for (const path of ["//e.example", "/\\e.example", "https:e.example", "/%252f%252fe", "/%09/e.example", "/x%0d%0aSet-Cookie:a=b", "javascript:1"]) {
    const answer = await ask(`/api/preview?path=${path.replace("\\", "%5c")}&code=${cms.issue(CHANGED._id)}`);
    assert.deepEqual([answer.status, answer.headers.location, answer.headers["set-cookie"]], [400, undefined, undefined], path);
  }
});

test("the exit is a button of this site", async () => {
  const exit = (headers, method = "POST") => ask(`/api/preview/exit?path=${PAGE}`, { method, headers, token: cms.token() });
  const left = await exit({ "sec-fetch-site": "same-origin", origin: "null" });
  assert.deepEqual([left.status, left.headers.location], [303, PAGE]);
  assert.match(left.headers["set-cookie"][0], /Max-Age=0/);
  assert.equal((await exit({ "sec-fetch-site": "cross-site", origin: SITE })).status, 403);
  assert.equal((await exit({}, "GET")).status, 405);
});

test("a prefetch doesn't burn the code", async () => {
  const path = `/api/preview?path=${PAGE}&code=${cms.issue(CHANGED._id)}`;
  assert.equal((await ask(path, { headers: { "sec-purpose": "prefetch" } })).status, 204);
  assert.equal((await ask(path, { method: "HEAD" })).status, 204);
  assert.equal((await ask(path)).status, 303);
});

test("nothing secret is in the log or the built files", () => {
  assert.doesNotMatch(output, /eyJ|code=|a-client-secret/);
  const { status } = spawnSync("grep", ["-rq", cms.clientSecret, "dist"], { cwd: ROOT });
  assert.equal(status, 1);
});
