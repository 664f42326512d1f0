// A CMS as far as previews see it: keys, exchange, drafts, and published articles. For tests and for trying things
// out: `node test/stub-cms.mjs 8020` serves two articles and one draft, and `GET /stub/code?entry=<id>` makes a code.

import { createHash, createHmac, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

/** @typedef {"EdDSA" | "ES256" | "RS256" | "HS256"} Algorithm */

const b64 = (/** @type {string | Buffer} */ value) => Buffer.from(value).toString("base64url");
const now = () => Math.floor(Date.now() / 1000);

const PAIRS = {
  EdDSA: () => generateKeyPairSync("ed25519"),
  ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
};

/** A key pair of its own for everybody, also for forgers. */
export const keyPair = (/** @type {"EdDSA" | "ES256" | "RS256"} */ algorithm = "EdDSA") => PAIRS[algorithm]();

/**
 * Sign anything whatsoever, by hand: libraries refuse to make most of what has to be refused.
 * @param {Record<string, unknown>} header
 * @param {unknown} payload
 * @param {{ algorithm?: Algorithm, key: import("node:crypto").KeyLike | Buffer }} by
 */
export function forge(header, payload, { algorithm = "EdDSA", key }) {
  const text = `${b64(JSON.stringify(header))}.${b64(JSON.stringify(payload))}`;
  const signers = {
    EdDSA: () => sign(null, Buffer.from(text), /** @type {any} */ (key)),
    ES256: () => sign("sha256", Buffer.from(text), /** @type {any} */ ({ key, dsaEncoding: "ieee-p1363" })),
    RS256: () => sign("sha256", Buffer.from(text), /** @type {any} */ (key)),
    HS256: () => createHmac("sha256", /** @type {any} */ (key)).update(text).digest(),
  };
  return `${text}.${b64(signers[algorithm]())}`;
}

/**
 * @param {{ algorithm?: Algorithm, port?: number, siteId?: string, clientSecret?: string, environment?: string,
 *   secret?: Buffer, documents?: Record<string, any>[], log?: (line: string) => void }} options
 */
export async function startCms({
  algorithm = "EdDSA",
  port = 0,
  siteId = "0198c0de-0000-7000-8000-00000000a11c",
  clientSecret = "a-client-secret-for-tests",
  environment = "development",
  secret = createHash("sha256").update("shared").digest(),
  documents = [],
  log = () => undefined,
} = {}) {
  const pair = algorithm === "HS256" ? null : keyPair(algorithm);
  const kid = "key-1";
  const jwks = {
    keys: pair === null ? [] : [{ ...pair.publicKey.export({ format: "jwk" }), kid, alg: algorithm, use: "sig" }],
  };
  /** @type {Map<string, { entryId: string, locale: string }>} */
  const codes = new Map();
  /** What the tests turn: statuses to answer with instead, and what was asked. */
  const state = {
    documents,
    revoked: false,
    jwksStatus: 200,
    draftStatus: 200,
    exchangeStatus: 200,
    /** @type {((token: string) => string) | null} */
    tamper: null,
    /** @type {string[]} */
    requests: [],
  };

  const claims = (overrides = {}) => ({
    iss: url,
    aud: siteId,
    sub: `draft:${documents[0]?._id ?? randomUUID()}`,
    jti: randomUUID(),
    iat: now(),
    nbf: now(),
    exp: now() + 900,
    scope: "preview:read",
    locale: "en",
    environment,
    sid: "c2Vzc2lvbg",
    ...overrides,
  });
  const header = (overrides = {}) => ({ alg: algorithm, kid, typ: "preview+jwt", ...overrides });
  const key = pair === null ? secret : pair.privateKey;
  const token = (claim = {}, head = {}) => forge(header(head), claims(claim), { algorithm, key });
  const issue = (/** @type {string} */ entryId, locale = "en") => {
    const code = randomUUID().replaceAll("-", "");
    codes.set(code, { entryId, locale });
    return code;
  };

  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://stub.invalid");
    state.requests.push(`${request.method} ${request.url}`);
    const answer = (/** @type {number} */ status, /** @type {unknown} */ body, type = "application/json") => {
      log(`${status} ${request.method} ${pathname}`);
      response.writeHead(status, { "content-type": type, ...(status === 429 && { "retry-after": "7" }) });
      response.end(JSON.stringify(body));
    };
    const problem = (/** @type {number} */ status, code = "refused") =>
      answer(status, { title: "No", status, code }, "application/problem+json");

    if (pathname === "/.well-known/jwks.json") {
      return state.jwksStatus === 200 ? answer(200, jwks) : problem(state.jwksStatus);
    }
    if (pathname === "/stub/code") return answer(200, { code: issue(searchParams.get("entry") ?? "") });
    if (pathname === "/stub/state") {
      Object.assign(state, JSON.parse(searchParams.get("set") ?? "{}"));
      return answer(200, {});
    }

    if (pathname === "/api/v1/previews/exchange" && request.method === "POST") {
      let body = "";
      for await (const part of request) body += part;
      const given = JSON.parse(body);
      if (state.exchangeStatus !== 200) return problem(state.exchangeStatus);
      if (given.client_secret !== clientSecret) return problem(401, "client-secret-wrong");
      const found = codes.get(given.code);
      codes.delete(given.code);
      if (found === undefined) return problem(400, "code-unusable");
      const made = token({ sub: `draft:${found.entryId}`, locale: found.locale });
      return answer(200, {
        token: state.tamper?.(made) ?? made,
        expires_at: new Date((now() + 900) * 1000).toISOString(),
      });
    }

    const draft = /^\/api\/v1\/preview\/content\/([a-z_]+)\/([0-9a-f-]{36})$/.exec(pathname);
    if (draft !== null) {
      if (state.draftStatus !== 200) return problem(state.draftStatus);
      const bearer = (request.headers.authorization ?? "").replace("Bearer ", "");
      const { sub } = JSON.parse(Buffer.from(bearer.split(".")[1] ?? "e30", "base64url").toString() || "{}");
      if (state.revoked || bearer === "") return problem(401);
      if (sub !== `draft:${draft[2]}`) return problem(403);
      const found = state.documents.find((each) => each._id === draft[2] && each._collection === draft[1]);
      return found === undefined ? problem(404) : answer(200, { ...found, ...found.$draft, $draft: undefined });
    }

    const published = /^\/api\/v1\/content\/articles(?:\/([^/]+))?$/.exec(pathname);
    if (published !== null) {
      const live = state.documents.filter((each) => each._published_at !== null);
      const shown = live.map((each) => /** @type {Record<string, any>} */ ({ ...each, $draft: undefined }));
      if (published[1] === undefined) return answer(200, { data: shown, meta: { limit: 100, next_cursor: null } });
      const found = shown.find((each) => [each._id, each.slug].includes(published[1]));
      return found === undefined ? problem(404) : answer(200, found);
    }
    return problem(404);
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(undefined)));
  const address = /** @type {import("node:net").AddressInfo} */ (server.address());
  const url = `http://127.0.0.1:${address.port}`;

  return {
    url,
    siteId,
    clientSecret,
    environment,
    algorithm,
    kid,
    jwks,
    pair,
    secret,
    state,
    claims,
    header,
    token,
    issue,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve(undefined));
      }),
  };
}

/** Two published articles, of which one has a newer draft, and a draft that was never published. */
export function articles() {
  const article = (/** @type {number} */ number, /** @type {Record<string, any>} */ fields) => ({
    _id: `0198c0de-0000-7000-8000-00000000000${number}`,
    _collection: "articles",
    _locale: "en",
    _version: number,
    _published_at: "2026-03-01T08:00:00Z",
    _updated_at: "2026-03-02T08:00:00Z",
    summary: "Every book begins in a bucket.",
    body: { source: "*Salt*", html: "<p>The well is a little <em>salty</em>.</p>" },
    author: { _id: "0198c0de-0000-7000-8000-0000000000aa", _collection: "authors", name: "Jonas Brandt", slug: "jonas-brandt" },
    category: "workshop",
    tags: ["printing", "paper"],
    written_on: "2026-02-03",
    colour: "#2a9d8f",
    ...fields,
  });
  return [
    article(1, {
      title: "How we print with salt water",
      slug: "how-we-print-with-salt-water",
      $draft: { title: "How we print with sea water", _status: "changed", _version: 9 },
    }),
    article(2, { title: "What the fog horn says", slug: "what-the-fog-horn-says", colour: "#e76f51", category: "journal" }),
    article(3, { title: "A visit from the inspector", slug: "a-visit-from-the-inspector", _published_at: null, _status: "draft" }),
  ];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const port = Number(process.argv[2] ?? 8020);
  const cms = await startCms({ port, documents: articles(), log: console.log });
  console.log(JSON.stringify({ CMS_URL: cms.url, SITE_ID: cms.siteId, CLIENT_SECRET: cms.clientSecret }));
}
