import { createSecretKey, generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { PreviewUnavailableError } from "../src/index.js";
import { type Cms, ENTRY, siteOf, visit } from "./making.js";
import { articles, forge, keyPair, startCms } from "./stub-cms.mjs";

const seconds = (delta: number) => Math.floor(Date.now() / 1000) + delta;

let cms: Cms;
beforeAll(async () => {
  cms = await startCms({ documents: articles() });
});
afterAll(() => cms.stop());
beforeEach(() => {
  Object.assign(cms.state, { jwksStatus: 200, requests: [] });
});

const verify = (token: string, site = siteOf(cms)) => site.verifyPreview(visit("/", { token }));
const forged = (header: Record<string, unknown>, payload: unknown = cms.claims()) =>
  forge(header, payload, { key: cms.pair!.privateKey });

test("a token of the CMS is a preview", async () => {
  const preview = await verify(cms.token());
  expect(preview).toMatchObject({ entryId: ENTRY, locale: "en", claims: { aud: cms.siteId, scope: "preview:read" } });
  expect(preview!.expiresAt.getTime()).toBeGreaterThan(Date.now() + 890_000);
  expect(JSON.stringify(preview)).not.toContain(cms.token().split(".")[0]);
});

test.each(["EdDSA", "ES256", "RS256", "HS256"] as const)("%s works", async (algorithm) => {
  const other = await startCms({ algorithm, documents: articles() });
  expect(await siteOf(other).verifyPreview(visit("/", { token: other.token() }))).toMatchObject({ entryId: ENTRY });
  await other.stop();
});

describe("one wrong claim is enough to refuse", () => {
  const wrong: [string, Record<string, unknown>][] = [
    ["iss of another CMS", { iss: "https://cms.example.org" }],
    ["iss with a slash more", { iss: "SLASH" }],
    ["no iss", { iss: undefined }],
    ["another site", { aud: "0198c0de-0000-7000-8000-0000000000ff" }],
    ["aud as a list", { aud: "LIST" }],
    ["no aud", { aud: undefined }],
    ["sub without draft:", { sub: ENTRY }],
    ["sub of a user", { sub: `user:${ENTRY}` }],
    ["sub that climbs", { sub: "draft:../../content/articles" }],
    ["sub with more behind", { sub: `draft:${ENTRY}/../x` }],
    ["no sub", { sub: undefined }],
    ["another scope", { scope: "preview:write" }],
    ["scopes as a list", { scope: ["preview:read"] }],
    ["no scope", { scope: undefined }],
    ["another environment", { environment: "production" }],
    ["no environment", { environment: undefined }],
    ["no locale", { locale: undefined }],
    ["a locale that is a path", { locale: "../en" }],
    ["no jti", { jti: undefined }],
    ["an empty jti", { jti: "" }],
    ["no sid", { sid: undefined }],
    ["sid as a number", { sid: 7 }],
    ["expired", { iat: seconds(-900), nbf: seconds(-900), exp: seconds(-17) }],
    ["no exp", { exp: undefined }],
    ["exp as a text", { exp: String(seconds(900)) }],
    ["exp that is endless", { exp: 1e300 }],
    ["not yet", { nbf: seconds(20) }],
    ["no nbf", { nbf: undefined }],
    ["made in the future", { iat: seconds(20), exp: seconds(900) }],
    ["no iat", { iat: undefined }],
    ["longer than thirty minutes", { exp: seconds(1820) }],
    ["exp before iat", { iat: seconds(10), exp: seconds(5) }],
  ];
  test.each(wrong)("%s", async (_, claim) => {
    const claims = { ...claim };
    if (claims["iss"] === "SLASH") claims["iss"] = `${cms.url}/`;
    if (claims["aud"] === "LIST") claims["aud"] = [cms.siteId];
    expect(await verify(cms.token(claims))).toBeNull();
  });
});

describe("clocks may differ by the tolerance", () => {
  const expired = { iat: seconds(-600), nbf: seconds(-600), exp: seconds(-10) };
  const early = { iat: seconds(10), nbf: seconds(10), exp: seconds(600) };
  test.each([["behind", expired], ["ahead", early]])("%s", async (_, claim) => {
    expect(await verify(cms.token(claim))).not.toBeNull();
    expect(await verify(cms.token(claim), siteOf(cms, { clockTolerance: 0 }))).toBeNull();
  });
  test("exactly thirty minutes is allowed", async () => {
    expect(await verify(cms.token({ exp: seconds(1800) }))).not.toBeNull();
  });
});

describe("headers", () => {
  const wrong: [string, (header: Record<string, unknown>) => Record<string, unknown>][] = [
    ["typ JWT", (header) => ({ ...header, typ: "JWT" })],
    ["typ of an access token", (header) => ({ ...header, typ: "at+jwt" })],
    ["typ as a media type", (header) => ({ ...header, typ: "application/preview+jwt" })],
    ["no typ", ({ alg, kid }) => ({ alg, kid })],
    ["no kid", ({ alg, typ }) => ({ alg, typ })],
    ["kid of 10 KB", (header) => ({ ...header, kid: "k".repeat(10_240) })],
    ["kid as a path", (header) => ({ ...header, kid: "../../dev/null" })],
    ["kid as a list", (header) => ({ ...header, kid: ["key-1"] })],
    ["kid that is on every object", (header) => ({ ...header, kid: "__proto__" })],
    ["crit", (header) => ({ ...header, crit: ["exp"] })],
    ["crit and b64", (header) => ({ ...header, crit: ["b64"], b64: true })],
    ["jku", (header) => ({ ...header, jku: "https://evil.example/jwks.json" })],
    ["x5u", (header) => ({ ...header, x5u: "https://evil.example/cert" })],
    ["cty", (header) => ({ ...header, cty: "JWT" })],
    ["alg of another kind", (header) => ({ ...header, alg: "ES256" })],
    ["alg by its newer name", (header) => ({ ...header, alg: "Ed25519" })],
  ];
  const wellFormed = ["kid as a path", "kid that is on every object"];
  test.each(wrong)("%s", async (what, change) => {
    expect(await verify(forged(cms.header()))).not.toBeNull();
    cms.state.requests = [];
    expect(await verify(forged(change(cms.header())))).toBeNull();
    if (!wellFormed.includes(what)) expect(cms.state.requests).toEqual([]); // no key is even looked for
  });
  test("a key that the token brings along", async () => {
    const own = keyPair();
    const header = { ...cms.header(), jwk: own.publicKey.export({ format: "jwk" }) };
    expect(await verify(forge(header, cms.claims(), { key: own.privateKey }))).toBeNull();
  });
});

describe("forgers", () => {
  test.each(["none", "None", "NONE", "nOnE", ""])("alg %j", async (alg) => {
    const [, payload] = cms.token().split(".");
    const header = Buffer.from(JSON.stringify({ ...cms.header(), alg })).toString("base64url");
    expect(await verify(`${header}.${payload}.`)).toBeNull();
    expect(await verify(`${header}.${payload}.AAAA`)).toBeNull();
  });
  test("another key under the same kid", async () => {
    expect(await verify(forge(cms.header(), cms.claims(), { key: keyPair().privateKey }))).toBeNull();
  });
  test("an unknown kid asks for the keys once more, not each time", async () => {
    const site = siteOf(cms);
    for (const kid of ["a", "b", "c", "d"]) {
      expect(await verify(forge(cms.header({ kid }), cms.claims(), { key: keyPair().privateKey }), site)).toBeNull();
    }
    expect(cms.state.requests.filter((line) => line.includes("jwks")).length).toBeLessThanOrEqual(2);
  });
  test.each(["EdDSA", "RS256"] as const)("HS256 with the public key of %s as its secret", async (algorithm) => {
    const other = await startCms({ algorithm, documents: articles() });
    const { publicKey } = other.pair!;
    const header = other.header({ alg: "HS256" });
    const secrets = [
      publicKey.export({ format: "pem", type: "spki" }),
      publicKey.export({ format: "der", type: "spki" }),
      JSON.stringify(publicKey.export({ format: "jwk" })),
      JSON.stringify(other.jwks.keys[0]),
      String(publicKey.export({ format: "jwk" }).x ?? publicKey.export({ format: "jwk" }).n),
    ];
    for (const secret of secrets) {
      const key = createSecretKey(Buffer.from(secret));
      expect(await siteOf(other).verifyPreview(visit("/", { token: forge(header, other.claims(), { algorithm: "HS256", key }) }))).toBeNull();
    }
    await other.stop();
  });
  test("a public key's token where the site has a shared secret, and the other way round", async () => {
    const shared = await startCms({ algorithm: "HS256", documents: articles() });
    const header = { ...cms.header(), alg: "EdDSA" };
    expect(await verify(forge(header, shared.claims(), { key: cms.pair!.privateKey }), siteOf(shared))).toBeNull();
    expect(await verify(shared.token({ iss: cms.url }))).toBeNull();
    await shared.stop();
  });
  test("a key too small", async () => {
    const other = await startCms({ algorithm: "RS256", documents: articles() });
    const small = generateKeyPairSync("rsa", { modulusLength: 1024 });
    other.jwks.keys = [{ ...small.publicKey.export({ format: "jwk" }), kid: "key-1", alg: "RS256", use: "sig" }];
    const token = forge(other.header(), other.claims(), { algorithm: "RS256", key: small.privateKey });
    expect(await siteOf(other).verifyPreview(visit("/", { token }))).toBeNull();
    await other.stop();
  });
  test("JSON serialisations, trailing bytes, two tokens, padding and other garbage", async () => {
    const token = cms.token();
    const [header, payload, signature] = token.split(".") as [string, string, string];
    const json = { payload, protected: header, signature, signatures: [{ protected: header, signature }] };
    const garbage = [
      JSON.stringify(json),
      Buffer.from(JSON.stringify(json)).toString("base64url"),
      `${token}.`,
      `${token}.AAAA`,
      `${token}=`,
      `"${token}"`,
      `${token},${token}`,
      ` ${header}. ${payload}.${signature}`,
      `${header}.${payload}`,
      `${header}..${signature}`,
      `${header}.${payload.slice(0, -4)}AAAA.${signature}`,
      "undefined",
      "a.b.c",
      "..",
    ];
    for (const text of garbage) expect(await verify(text), text.slice(0, 60)).toBeNull();
  });
});

describe("the cookie", () => {
  const read = (cookie: string) => siteOf(cms).verifyPreview({ headers: new Headers({ cookie }) });
  test("is found among others", async () => {
    expect(await read(`a=1;__Host-quillkeep-preview=${cms.token()} ;b=2`)).not.toBeNull();
  });
  test("twice is refused, whichever comes first", async () => {
    const pair = `__Host-quillkeep-preview=${cms.token()}`;
    expect(await read(`${pair}; ${pair}`)).toBeNull();
    expect(await read(`__Host-quillkeep-preview=x; ${pair}`)).toBeNull();
    expect(await read(`${pair}; __Host-quillkeep-preview`)).toBeNull();
  });
  test("under another name is none", async () => {
    const token = cms.token();
    for (const name of ["quillkeep-preview", "__host-quillkeep-preview", "__Host-quillkeep-preview2", "__Secure-quillkeep-preview"]) {
      expect(await read(`${name}=${token}`)).toBeNull();
    }
  });
  test("over 4096 characters is refused", async () => {
    expect(await verify(cms.token({ more: "x".repeat(3000) }))).toBeNull();
  });
  test("is the only place: no header, no query", async () => {
    const token = cms.token();
    const headers = {
      authorization: `Bearer ${token}`,
      "x-preview-token": token,
      "x-draft-id": ENTRY,
      "x-middleware-subrequest": "middleware:middleware:middleware:middleware:middleware",
      "x-preview": "1",
    };
    const site = siteOf(cms);
    expect(await site.verifyPreview(visit(`/?token=${token}`, { headers }))).toBeNull();
    expect(await site.fetchDraft(visit("/", { headers }), "articles")).toEqual({
      document: null,
      preview: null,
      mustClearCookie: false,
    });
  });
});

describe("keys that can't be had", () => {
  test.each([500, 404, 302])("status %i is no permission", async (status) => {
    const site = siteOf(cms);
    cms.state.jwksStatus = status;
    await expect(verify(cms.token(), site)).rejects.toBeInstanceOf(PreviewUnavailableError);
    cms.state.jwksStatus = 200;
    expect(await verify(cms.token(), site)).not.toBeNull();
  });
  test("nor is no connection", async () => {
    const site = siteOf(cms, { fetch: () => Promise.reject(new TypeError("fetch failed")) });
    await expect(verify(cms.token(), site)).rejects.toBeInstanceOf(PreviewUnavailableError);
  });
  test("a key of another use or algorithm is none", async () => {
    const other = await startCms({ documents: articles() });
    for (const change of [{ use: "enc" }, { alg: "ES256" }]) {
      const jwk = { ...other.jwks.keys[0]!, ...change };
      const fetch = async () => Response.json({ keys: [jwk] });
      expect(await siteOf(other, { fetch }).verifyPreview(visit("/", { token: other.token() }))).toBeNull();
    }
    await other.stop();
  });
});

test("shared secrets rotate: by kid, or as a list", async () => {
  const shared = await startCms({ algorithm: "HS256", documents: articles() });
  const [old, current] = [Buffer.alloc(32, 1), shared.secret].map((bytes) => bytes.toString("base64url")) as [string, string];
  const token = shared.token();
  const verdict = async (sharedSecrets: Record<string, string> | string[]) =>
    (await siteOf(shared, { sharedSecrets }).verifyPreview(visit("/", { token }))) !== null;
  expect(await verdict({ "key-0": old, "key-1": current })).toBe(true);
  expect(await verdict([old, current])).toBe(true);
  expect(await verdict({ "key-1": old })).toBe(false);
  expect(await verdict({ "key-0": current })).toBe(false);
  expect(await verdict([old])).toBe(false);
  expect(shared.state.requests).toEqual([]); // no key of the network matters here
  await shared.stop();
});
