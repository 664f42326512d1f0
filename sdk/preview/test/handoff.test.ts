import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { PreviewRefusedError, PreviewUnavailableError } from "../src/index.js";
import { type Cms, ENTRY, siteOf, visit } from "./making.js";
import { articles, forge, keyPair, startCms } from "./stub-cms.mjs";

let cms: Cms;
beforeAll(async () => {
  cms = await startCms({ documents: articles() });
});
afterAll(() => cms.stop());
beforeEach(() => {
  Object.assign(cms.state, { jwksStatus: 200, exchangeStatus: 200, tamper: null, requests: [] });
});

const exchanges = () => cms.state.requests.filter((line) => line.includes("exchange")).length;
const arrive = (query: string, init: RequestInit = {}, site = siteOf(cms)) =>
  site.handleHandoff(visit(`/api/preview${query}`, init));
const form = (body: BodyInit, headers: Record<string, string> = {}) => ({
  method: "POST",
  body,
  headers: { "content-type": "application/x-www-form-urlencoded", origin: cms.url, "sec-fetch-site": "cross-site", ...headers },
});

function isBare(response: Response): void {
  expect(response.headers.get("cache-control")).toBe("private, no-store, max-age=0");
  expect(response.headers.get("referrer-policy")).toBe("no-referrer");
  expect(response.headers.get("x-robots-tag")).toBe("noindex, nofollow");
}

test("a code becomes a cookie, and the address loses it", async () => {
  const response = await arrive(`?path=/blog/my-slug&code=${cms.issue(ENTRY)}`);
  expect(response.status).toBe(303);
  expect(response.headers.get("location")).toBe("/blog/my-slug");
  expect(await response.text()).toBe("");
  isBare(response);
  const [cookie] = response.headers.getSetCookie();
  expect(cookie).toMatch(/^__Host-quillkeep-preview=[\w-]+\.[\w-]+\.[\w-]+; Path=\/; HttpOnly; Secure; SameSite=Lax; Max-Age=(899|900)$/);
  const token = cookie!.slice(cookie!.indexOf("=") + 1, cookie!.indexOf(";"));
  expect(await siteOf(cms).verifyPreview(visit("/", { token }))).toMatchObject({ entryId: ENTRY });
});

test("in a frame the cookie is partitioned", async () => {
  const site = siteOf(cms, { embedded: true });
  const response = await arrive(`?path=/&code=${cms.issue(ENTRY)}`, {}, site);
  expect(response.headers.getSetCookie()[0]).toMatch(/; Path=\/; HttpOnly; Secure; SameSite=None; Partitioned; Max-Age=(899|900)$/);
  expect(site.clearCookie()).toBe("__Host-quillkeep-preview=; Path=/; HttpOnly; Secure; SameSite=None; Partitioned; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
});

test("a code in a form works the same", async () => {
  const response = await arrive("?path=/blog/my-slug", form(`code=${cms.issue(ENTRY)}`));
  expect([response.status, response.headers.get("location")]).toEqual([303, "/blog/my-slug"]);
});

test("without a path it leads home", async () => {
  expect((await arrive(`?code=${cms.issue(ENTRY)}`)).headers.get("location")).toBe("/");
});

test("the CMS is asked at another address than the public one, which the tokens still must name", async () => {
  const inside = { cmsUrl: "https://cms.example.com", internalUrl: cms.url };
  const query = `?path=/&code=${cms.issue(ENTRY)}`;
  const answer = await arrive(query, {}, siteOf(cms, inside));
  expect(exchanges()).toBe(1);
  expect(answer.status).toBe(502); // the stub's tokens name its own address
});

test("a code works once", async () => {
  const code = cms.issue(ENTRY);
  expect((await arrive(`?code=${code}`)).status).toBe(303);
  const again = await arrive(`?code=${code}`);
  expect(again.status).toBe(400);
  expect(again.headers.getSetCookie()).toEqual([]);
  isBare(again);
  expect(await again.text()).not.toContain(code);
});

test.each(["//evil.example", "/\\evil.example", "https:evil.example", "/%2f%2fevil.example", "/a@b", "javascript:alert(1)", "/x\r\ny"])(
  "the code isn't spent on a path like %j",
  async (path) => {
    const code = cms.issue(ENTRY);
    const response = await arrive(`?path=${encodeURIComponent(path)}&code=${code}`);
    expect([response.status, response.headers.get("location"), exchanges()]).toEqual([400, null, 0]);
    const text = await response.text();
    expect(text).not.toContain(code);
    expect(text).not.toContain("evil");
  },
);

test.each(["", "?path=/", "?code=", "?code=a&code=b", "?path=/&path=/x&code=a", "?code=a%20b", "?code=%3Cscript%3E", `?code=${"a".repeat(513)}`])(
  "%j is refused without asking the CMS",
  async (query) => {
    const response = await arrive(query);
    expect([response.status, exchanges()]).toEqual([400, 0]);
    expect(await response.text()).not.toContain("<script>");
  },
);

describe("what only looks ahead doesn't burn the code", () => {
  test.each([
    ["HEAD", { method: "HEAD" }],
    ["Sec-Purpose", { headers: { "sec-purpose": "prefetch" } }],
    ["prerender", { headers: { "sec-purpose": "prefetch;prerender" } }],
    ["Purpose", { headers: { purpose: "prefetch" } }],
    ["X-Moz", { headers: { "x-moz": "prefetch" } }],
  ])("%s", async (_, init) => {
    const code = cms.issue(ENTRY);
    const response = await arrive(`?code=${code}`, init);
    expect([response.status, exchanges(), response.headers.getSetCookie()]).toEqual([204, 0, []]);
    isBare(response);
    expect((await arrive(`?code=${code}`)).status).toBe(303);
  });
});

test.each(["PUT", "DELETE", "PATCH", "OPTIONS"])("%s is not a way in", async (method) => {
  const response = await arrive(`?code=${cms.issue(ENTRY)}`, { method });
  expect([response.status, response.headers.get("allow"), exchanges()]).toEqual([405, "GET, POST", 0]);
});

describe("forms", () => {
  test.each([
    ["JSON", 415, { "content-type": "application/json" }],
    ["multipart", 415, { "content-type": "multipart/form-data; boundary=x" }],
    ["text", 415, { "content-type": "text/plain" }],
    ["charset", 303, { "content-type": "application/x-www-form-urlencoded; charset=UTF-8" }],
  ])("%s is %i", async (_, status, headers) => {
    expect((await arrive("", form(`code=${cms.issue(ENTRY)}`, headers))).status).toBe(status);
  });
  test("over 4 KB are not read", async () => {
    const body = `code=${cms.issue(ENTRY)}&pad=${"x".repeat(5000)}`;
    expect((await arrive("", form(body))).status).toBe(413);
    let sent = 0;
    const endless = new ReadableStream({
      pull(controller) {
        sent += 1024;
        controller.enqueue(new Uint8Array(1024).fill(97));
      },
    });
    expect((await arrive("", { ...form(endless as never), duplex: "half" } as RequestInit)).status).toBe(413);
    expect(sent).toBeLessThan(10_000);
    expect(exchanges()).toBe(0);
  });
  test.each(["", "path=/", "code=a&code=b"])("%j is refused", async (body) => {
    expect([(await arrive("", form(body))).status, exchanges()]).toEqual([400, 0]);
  });
  test("that are no UTF-8 are refused", async () => {
    expect((await arrive("", form(new Uint8Array([0xff, 0xfe])))).status).toBe(400);
  });
  test("with a code in the address too are refused", async () => {
    const response = await arrive(`?code=${cms.issue(ENTRY)}`, form(`code=${cms.issue(ENTRY)}`));
    expect([response.status, exchanges()]).toEqual([400, 0]);
  });
});

describe("when the CMS says no", () => {
  test.each([
    [400, 400, PreviewRefusedError],
    [401, 502, PreviewRefusedError],
    [423, 503, PreviewUnavailableError],
    [429, 503, PreviewUnavailableError],
    [500, 503, PreviewUnavailableError],
    [503, 503, PreviewUnavailableError],
    [302, 503, PreviewUnavailableError],
  ])("%i is %i here", async (theirs, ours, kind) => {
    cms.state.exchangeStatus = theirs;
    const response = await arrive("?code=abc");
    expect([response.status, response.headers.getSetCookie()]).toEqual([ours, []]);
    expect(response.headers.get("retry-after")).toBe(theirs === 429 ? "7" : null);
    isBare(response);
    await expect(siteOf(cms).exchangeCode("abc")).rejects.toBeInstanceOf(kind);
  });
  test("a wrong client secret is no secret in the answer", async () => {
    const site = siteOf(cms, { clientSecret: "CANARY-CANARY-CANARY" });
    const response = await arrive(`?code=${cms.issue(ENTRY)}`, {}, site);
    expect(response.status).toBe(502);
    expect(await response.text()).not.toContain("CANARY");
  });
  test("a token that doesn't verify never becomes a cookie", async () => {
    cms.state.tamper = () => forge(cms.header(), cms.claims(), { key: keyPair().privateKey });
    const response = await arrive(`?code=${cms.issue(ENTRY)}`);
    expect([response.status, response.headers.getSetCookie()]).toEqual([502, []]);
  });
  test("nor does one that nobody can check", async () => {
    cms.state.jwksStatus = 500;
    const response = await arrive(`?code=${cms.issue(ENTRY)}`);
    expect([response.status, response.headers.getSetCookie()]).toEqual([503, []]);
  });
  test("redirects are not followed with the secret", async () => {
    const asked: (string | undefined)[] = [];
    const fetch = async (_: unknown, init?: RequestInit) => {
      asked.push(init?.redirect);
      return new Response(null, { status: 307, headers: { location: "https://evil.example/" } });
    };
    await expect(siteOf(cms, { fetch }).exchangeCode("abc")).rejects.toBeInstanceOf(PreviewUnavailableError);
    expect(asked).toEqual(["manual"]);
  });
});

describe("the exit", () => {
  const exit = (init: RequestInit, query = "?path=/blog/my-slug") => siteOf(cms).leave(visit(`/api/preview/exit${query}`, init));
  const own = { "sec-fetch-site": "same-origin", origin: "null" }; // what browsers send under no-referrer

  test("removes the cookie and shows the published page", () => {
    const response = exit({ method: "POST", headers: own });
    expect([response.status, response.headers.get("location")]).toEqual([303, "/blog/my-slug"]);
    expect(response.headers.getSetCookie()).toEqual([
      "__Host-quillkeep-preview=; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    ]);
    isBare(response);
  });
  test("leads home when the path is not of this site", () => {
    expect(exit({ method: "POST", headers: own }, "?path=//evil.example").headers.get("location")).toBe("/");
  });
  test("is for POST only", () => {
    for (const method of ["GET", "HEAD", "PUT"]) expect(exit({ method, headers: own }).status).toBe(405);
  });
  test.each([
    ["another site", 403, { "sec-fetch-site": "cross-site", origin: "https://www.example.com" }],
    ["a sibling", 403, { "sec-fetch-site": "same-site" }],
    ["an address bar", 403, { "sec-fetch-site": "none" }],
    ["an old browser elsewhere", 403, { origin: "https://evil.example" }],
    ["an old browser of a lookalike", 403, { origin: "https://www.example.com.evil.example" }],
    ["nobody", 403, {}],
    ["a sandbox", 403, { origin: "null" }],
    ["an old browser here", 303, { origin: "https://www.example.com" }],
    ["here, behind a proxy that ends TLS", 303, { origin: "http://www.example.com" }],
  ])("from %s is %i", (_, status, headers) => {
    expect(exit({ method: "POST", headers: headers as Record<string, string> }).status).toBe(status);
  });
});
