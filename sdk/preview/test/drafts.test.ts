import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { exitRoute, handoffRoute, type PreviewLocals, previewMiddleware } from "../src/astro.js";
import { createFetchHandler } from "../src/fetch.js";
import { PreviewUnavailableError } from "../src/index.js";
import { createNextPreview } from "../src/next.js";
import { type Cms, DRAFT_ONLY, ENTRY, siteOf, visit } from "./making.js";
import { articles, startCms } from "./stub-cms.mjs";

const CLEARED = "__Host-quillkeep-preview=; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
const SPOOFED = {
  "x-draft-id": ENTRY,
  "x-draft-mode": "1",
  "x-preview-entry": ENTRY,
  "x-preview-token": "1",
  "x-middleware-subrequest": "middleware",
  "x-middleware-rewrite": "/preview",
  "x-middleware-set-cookie": "a=b",
};

let cms: Cms;
beforeAll(async () => {
  cms = await startCms({ documents: articles() });
});
afterAll(() => cms.stop());
beforeEach(() => {
  Object.assign(cms.state, { jwksStatus: 200, draftStatus: 200, revoked: false, requests: [] });
});

describe("the draft", () => {
  test("of a request is the entry that the token names", async () => {
    const result = await siteOf(cms).fetchDraft(visit("/", { token: cms.token() }), "articles");
    expect(result).toMatchObject({ document: { title: "How we print with sea water" }, mustClearCookie: false });
  });
  test("of a verified preview is the same", async () => {
    const site = siteOf(cms);
    const preview = await site.verifyPreview(visit("/", { token: cms.token({ sub: `draft:${DRAFT_ONLY}` }) }));
    expect((await site.fetchDraft(preview!, "articles")).document?._id).toBe(DRAFT_ONLY);
  });
  test("of a preview that was made up is none", async () => {
    const site = siteOf(cms);
    const preview = await site.verifyPreview(visit("/", { token: cms.token() }));
    expect((await site.fetchDraft({ ...preview! }, "articles")).document).toBeNull();
    expect((await siteOf(cms).fetchDraft(preview!, "articles")).document).toBeNull();
  });
  test("is asked for with what to expand and which fields", async () => {
    await siteOf(cms).fetchDraft(visit("/", { token: cms.token() }), "articles", {
      expand: ["author", "author.company"],
      fields: "title,slug",
    });
    expect(cms.state.requests.at(-1)).toBe(
      `GET /api/v1/preview/content/articles/${ENTRY}?expand=author%2Cauthor.company&fields=title%2Cslug`,
    );
  });
  test.each([[401, true], [403, true], [404, false]])("with %i there is none (cookie to be cleared: %s)", async (status, clear) => {
    cms.state.draftStatus = status;
    const result = await siteOf(cms).fetchDraft(visit("/", { token: cms.token() }), "articles");
    expect(result).toMatchObject({ document: null, mustClearCookie: clear });
  });
  test("without a cookie is none and asks nobody", async () => {
    expect(await siteOf(cms).fetchDraft(visit("/"), "articles")).toMatchObject({ document: null, mustClearCookie: false });
    expect(cms.state.requests).toEqual([]);
  });
  test("with a bad cookie is none and asks nobody", async () => {
    expect(await siteOf(cms).fetchDraft(visit("/", { token: "x" }), "articles")).toMatchObject({ document: null, mustClearCookie: true });
    expect(cms.state.requests).toEqual([]);
  });
  test.each([503, 500, 429, 423, 302])("with %i nobody knows", async (status) => {
    cms.state.draftStatus = status;
    await expect(siteOf(cms).fetchDraft(visit("/", { token: cms.token() }), "articles")).rejects.toBeInstanceOf(PreviewUnavailableError);
  });
  test.each([
    ["another document", JSON.stringify({ _id: DRAFT_ONLY, _collection: "articles" })],
    ["a list", "[]"],
    ["no JSON", "<html>"],
    ["a flood", `"${"x".repeat(9 * 1024 * 1024)}"`],
  ])("that is %s is not believed", async (_, body) => {
    const fetch = async (input: unknown, init?: RequestInit) =>
      String(input).includes("jwks") ? globalThis.fetch(input as string, init) : new Response(body);
    await expect(siteOf(cms, { fetch: fetch as typeof globalThis.fetch }).fetchDraft(visit("/", { token: cms.token() }), "articles")).rejects.toBeInstanceOf(PreviewUnavailableError);
  });
  test("of a collection that is a path is a mistake", async () => {
    await expect(siteOf(cms).fetchDraft(visit("/", { token: cms.token() }), "../content")).rejects.toBeInstanceOf(TypeError);
  });
});

describe("headers", () => {
  test("of a preview", () => {
    expect(siteOf(cms).previewHeaders()).toEqual({
      "Cache-Control": "private, no-store, max-age=0",
      "X-Robots-Tag": "noindex, nofollow",
      "Referrer-Policy": "no-referrer",
      Vary: "Cookie",
    });
    expect(siteOf(cms, { embedded: true }).previewHeaders()["Content-Security-Policy"]).toBe(`frame-ancestors 'self' ${cms.url}`);
  });
  test("replace those for caches, and stand beside the site's own", () => {
    const response = new Response("", {
      headers: {
        "cache-control": "public, max-age=600",
        "cdn-cache-control": "max-age=600",
        vary: "Accept-Encoding",
        etag: '"1"',
        "content-security-policy": "default-src 'self'",
      },
    });
    const answer = siteOf(cms, { embedded: true }).withPreviewHeaders(response);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "cache-control": "private, no-store, max-age=0",
      vary: "Accept-Encoding, Cookie",
      "content-security-policy": `default-src 'self', frame-ancestors 'self' ${cms.url}`,
    });
    expect(answer.headers.get("cdn-cache-control") ?? answer.headers.get("etag")).toBeNull();
  });
  test("also on answers that can't be changed", async () => {
    const fetched = await fetch(`${cms.url}/.well-known/jwks.json`);
    expect(siteOf(cms).withPreviewHeaders(fetched).headers.get("vary")).toBe("Cookie");
  });
});

describe("fetch handlers", () => {
  const site = () => {
    const preview = siteOf(cms);
    return createFetchHandler(preview, async (request) => {
      const { document } = await preview.fetchDraft(request, "articles");
      const headers = { "cache-control": "public, max-age=60" };
      return new Response(String(document?.["title"] ?? "published"), { headers });
    });
  };
  test("go from the code to the draft, and out again", async () => {
    const handle = site();
    const entered = await handle(visit(`/api/preview?path=/blog/x&code=${cms.issue(ENTRY)}`));
    const token = /=([^;]+)/.exec(entered.headers.getSetCookie()[0]!)![1]!;
    const draft = await handle(visit("/blog/x", { token }));
    expect(await draft.text()).toBe("How we print with sea water");
    expect(draft.headers.get("cache-control")).toBe("private, no-store, max-age=0");
    expect(draft.headers.getSetCookie()).toEqual([]);
    const left = await handle(visit("/api/preview/exit", { method: "POST", token, headers: { "sec-fetch-site": "same-origin" } }));
    expect(left.headers.getSetCookie()).toEqual([CLEARED]);
  });
  test("leave answers without the cookie untouched, whatever headers were made up", async () => {
    const plain = await site()(visit("/blog/x"));
    const spoofed = await site()(visit("/blog/x", { headers: SPOOFED }));
    for (const response of [plain, spoofed]) {
      expect(await response.text()).toBe("published");
      expect([...response.headers].sort()).toEqual([
        ["cache-control", "public, max-age=60"],
        ["content-type", "text/plain;charset=UTF-8"],
      ]);
    }
  });
  test("take a bad cookie away, and nobody caches that", async () => {
    const response = await site()(visit("/blog/x", { token: cms.token({ aud: "another" }) }));
    expect(await response.text()).toBe("published");
    expect(response.headers.get("cache-control")).toBe("private, no-store, max-age=0");
    expect(response.headers.getSetCookie()).toEqual([CLEARED]);
  });
  test.each([["jwksStatus"], ["draftStatus"]])("answer 503 when %s is 503", async (what) => {
    Object.assign(cms.state, { [what]: 503 });
    const response = await site()(visit("/blog/x", { token: cms.token() }));
    expect([response.status, response.headers.get("cache-control")]).toEqual([503, "private, no-store, max-age=0"]);
    expect(await response.text()).not.toContain("sea water");
    expect((await site()(visit("/blog/x"))).status).toBe(200);
  });
  test("show the published page after a revocation, and take the cookie away", async () => {
    cms.state.revoked = true;
    const response = await site()(visit("/blog/x", { token: cms.token() }));
    expect(await response.text()).toBe("published");
    expect(response.headers.getSetCookie()).toEqual([CLEARED]);
  });
});

describe("Astro", () => {
  const run = async (request: Request, isPrerendered = false) => {
    const locals = {} as PreviewLocals;
    const context = { request, locals, isPrerendered };
    const response = await previewMiddleware(() => siteOf(cms))(context, async () => new Response("page"));
    return { locals, response };
  };
  test("gets locals.preview", async () => {
    const { locals, response } = await run(visit("/", { token: cms.token() }));
    expect(locals.preview).toMatchObject({ entryId: ENTRY });
    expect(response.headers.get("x-robots-tag")).toBe("noindex, nofollow");
  });
  test("gets null without the cookie, spoofed headers or not", async () => {
    const { locals, response } = await run(visit("/", { headers: SPOOFED }));
    expect([locals.preview, response.headers.get("cache-control")]).toEqual([null, null]);
  });
  test("is left alone where pages are prerendered", async () => {
    const { locals } = await run(visit("/", { token: cms.token() }), true);
    expect([locals.preview, cms.state.requests]).toEqual([null, []]);
  });
  test("doesn't take away the cookie that the handoff has just set", async () => {
    const request = visit(`/api/preview?code=${cms.issue(ENTRY)}`, { token: "old" });
    const middleware = previewMiddleware(siteOf(cms));
    const response = await middleware({ request, locals: {}, isPrerendered: false }, () => handoffRoute(siteOf(cms))({ request }));
    expect(response.status).toBe(303);
    expect(response.headers.getSetCookie()).toHaveLength(1);
    expect(response.headers.getSetCookie()[0]).not.toContain("Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
  });
  test("can be left while nobody can check", async () => {
    cms.state.jwksStatus = 503;
    const request = visit("/api/preview/exit", { method: "POST", token: cms.token(), headers: { "sec-fetch-site": "same-origin" } });
    const middleware = previewMiddleware(siteOf(cms));
    const response = await middleware({ request, locals: {}, isPrerendered: false }, async () => exitRoute(siteOf(cms))({ request }));
    expect([response.status, response.headers.getSetCookie()]).toEqual([303, [CLEARED]]);
  });
});

describe("Next", () => {
  test("has route handlers, which switch draftMode", async () => {
    const calls: string[] = [];
    const draftMode = async () => ({ enable: () => calls.push("on"), disable: () => calls.push("off") });
    const next = createNextPreview(siteOf(cms), { draftMode });
    expect((await next.handoff.GET(visit(`/api/preview?code=${cms.issue(ENTRY)}`))).status).toBe(303);
    expect((await next.handoff.GET(visit("/api/preview?code=wrong"))).status).toBe(400);
    expect((await next.exit.POST(visit("/x", { method: "POST", headers: { "sec-fetch-site": "same-origin" } }))).status).toBe(303);
    expect((await next.exit.POST(visit("/x", { method: "POST" }))).status).toBe(403);
    expect(calls).toEqual(["on", "off"]);
  });
  test("has a middleware for headers, and a page that doesn't rely on it", async () => {
    const next = createNextPreview(siteOf(cms));
    const middleware = next.middleware(() => new Response(null, { headers: { "x-middleware-next": "1" } }));
    const response = await middleware(visit("/", { token: cms.token() }));
    expect(response.headers.get("x-middleware-next")).toBe("1");
    expect(response.headers.get("cache-control")).toBe("private, no-store, max-age=0");
    expect(await next.getDraft({ headers: visit("/", { headers: SPOOFED }).headers }, "articles")).toBeNull();
    expect(await next.getDraft({ headers: visit("/", { token: cms.token() }).headers }, "articles")).toMatchObject({ _id: ENTRY });
  });
});
