// The two questions that a site asks the CMS: a token for a code, and a draft for a token.

import { PreviewRefusedError, PreviewUnavailableError } from "./errors.js";
import type { Settings } from "./settings.js";

/** A document, in the shape of the delivery API. */
export interface DraftDocument {
  readonly _id: string;
  readonly _collection: string;
  readonly _locale: string;
  readonly _version: number;
  /** By locale: draft, changed or published. */
  readonly _status?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

export interface DraftOptions {
  /** References to expand: `"author"` or `["author", "author.company"]`. */
  readonly expand?: string | readonly string[] | undefined;
  /** Only these fields. */
  readonly fields?: string | readonly string[] | undefined;
}

export interface Exchanged {
  readonly token: string;
  readonly expiresAt: Date;
}

const SMALL = 64 * 1024;
const LARGE = 8 * 1024 * 1024;
const TIMEOUT = 10_000;
const COLLECTION = /^[a-z][a-z0-9_]{0,40}$/;

/** Exchange a one-time code. Throws PreviewRefusedError or PreviewUnavailableError. */
export async function exchange(settings: Settings, code: string): Promise<Exchanged> {
  const response = await ask(settings, "/api/v1/previews/exchange", {
    method: "POST",
    headers: { accept: "application/json", "content-type": "application/json" },
    body: JSON.stringify({ code, client_secret: settings.clientSecret }),
  });
  if (response.status !== 200) {
    const problem = await readProblem(response);
    if ([400, 401, 403, 404, 410].includes(response.status)) throw new PreviewRefusedError(response.status, problem);
    throw unavailable(response);
  }
  const answer = await readJson(response, SMALL);
  const expiresAt = new Date(String(answer["expires_at"]));
  if (typeof answer["token"] !== "string" || Number.isNaN(expiresAt.getTime())) {
    throw new PreviewUnavailableError("The CMS's answer to a code is not understood.");
  }
  return { token: answer["token"], expiresAt };
}

/** Why there is no draft: "refused" (the cookie is of no use any more) or "missing" (this entry is not there). */
export type NoDraft = "refused" | "missing";

/** Read the draft that a token stands for. Throws PreviewUnavailableError. */
export async function readDraft(
  settings: Settings,
  token: string,
  collection: string,
  entryId: string,
  options: DraftOptions,
): Promise<DraftDocument | NoDraft> {
  if (!COLLECTION.test(collection)) throw new TypeError("collection must be a key like `articles`.");
  const query = new URLSearchParams();
  for (const name of ["expand", "fields"] as const) {
    const value = options[name];
    const text = typeof value === "string" ? value : value?.join(",");
    if (text !== undefined && text !== "") query.set(name, text);
  }
  const suffix = query.size > 0 ? `?${query}` : "";
  const response = await ask(settings, `/api/v1/preview/content/${collection}/${entryId}${suffix}`, {
    headers: { accept: "application/json", authorization: `Bearer ${token}` },
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    if (response.status === 401 || response.status === 403) return "refused";
    if (response.status === 404 || response.status === 410) return "missing";
    throw unavailable(response);
  }
  const document = await readJson(response, LARGE);
  if (document["_id"] !== entryId || document["_collection"] !== collection) {
    throw new PreviewUnavailableError("The CMS answered with another document.");
  }
  return document as unknown as DraftDocument;
}

/** Redirects are never followed: the secret and the token are for the configured origin only. */
async function ask(settings: Settings, path: string, init: RequestInit): Promise<Response> {
  try {
    return await settings.fetch(settings.askedUrl + path, {
      ...init,
      redirect: "manual",
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT),
    });
  } catch (cause) {
    throw new PreviewUnavailableError("The CMS cannot be reached.", { cause });
  }
}

function unavailable(response: Response): PreviewUnavailableError {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return new PreviewUnavailableError(`The CMS cannot answer now (${response.status}).`, {
    status: response.status,
    retryAfter: Number.isInteger(seconds) && seconds >= 0 && seconds <= 86_400 ? seconds : undefined,
  });
}

async function readProblem(response: Response): Promise<string | undefined> {
  try {
    const { code } = await readJson(response, SMALL);
    return typeof code === "string" && /^[a-z0-9-]{1,60}$/.test(code) ? code : undefined;
  } catch {
    return undefined; // a proxy's page instead of a problem document: the status says enough
  }
}

async function readJson(response: Response, limit: number): Promise<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(await readText(response, limit));
  } catch (cause) {
    throw new PreviewUnavailableError("The CMS's answer is not understood.", { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PreviewUnavailableError("The CMS's answer is not understood.");
  }
  return value as Record<string, unknown>;
}

/** Read a body as UTF-8, at most `limit` bytes of it. Throws RangeError beyond, TypeError where it is no UTF-8. */
export async function readText(message: Request | Response, limit: number): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const reader = message.body?.getReader();
  let text = "";
  let size = 0;
  for (;;) {
    const part = await reader?.read();
    if (reader === undefined || part === undefined || part.done) return text + decoder.decode();
    size += part.value.byteLength;
    if (size > limit) {
      await reader.cancel();
      throw new RangeError("The body is too large.");
    }
    text += decoder.decode(part.value, { stream: true });
  }
}
