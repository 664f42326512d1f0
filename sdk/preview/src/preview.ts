// The one object that a site makes at start.

import type { DraftDocument, DraftOptions, Exchanged } from "./cms.js";
import { exchange, readDraft } from "./cms.js";
import type { Preview } from "./claims.js";
import { verifyToken } from "./claims.js";
import type { WithHeaders } from "./cookie.js";
import { COOKIE, clearedCookie, readCookie } from "./cookie.js";
import { PreviewUnavailableError } from "./errors.js";
import { handleHandoff, leave } from "./handoff.js";
import { headersOf, withHeaders } from "./headers.js";
import { keyringOf } from "./keys.js";
import { unavailablePage } from "./pages.js";
import type { PreviewOptions } from "./settings.js";
import { settingsOf } from "./settings.js";

/** A draft; or none, and whether the cookie is of no use any more (then send `clearCookie()`). */
export type DraftResult<Document extends DraftDocument = DraftDocument> =
  | { readonly document: Document; readonly preview: Preview; readonly mustClearCookie: false }
  | { readonly document: null; readonly preview: Preview | null; readonly mustClearCookie: boolean };

export interface QuillkeepPreview {
  /** The CMS's origin, as the bridge needs it. */
  readonly cmsOrigin: string;
  readonly embedded: boolean;

  /** Exchange a one-time code for a token. Throws PreviewRefusedError or PreviewUnavailableError. */
  exchangeCode(code: string): Promise<Exchanged>;

  /** Return the preview that the request's cookie stands for, or null. Throws PreviewUnavailableError. */
  verifyPreview(source: WithHeaders): Promise<Preview | null>;

  /**
   * Read the draft of a request, which is verified here (again), or of a preview that `verifyPreview` returned.
   * Throws PreviewUnavailableError: then show neither the draft nor a guess.
   */
  fetchDraft<Document extends DraftDocument = DraftDocument>(
    source: WithHeaders | Preview,
    collection: string,
    options?: DraftOptions,
  ): Promise<DraftResult<Document>>;

  /** Answer the handoff URL. */
  handleHandoff(request: Request): Promise<Response>;

  /** Answer the exit: POST only, from this site only. */
  leave(request: Request): Response;

  /** Header fields for a page that shows a draft. */
  previewHeaders(): Record<string, string>;

  /** The answer with those fields; its own Content-Security-Policy stays beside ours. */
  withPreviewHeaders(response: Response): Response;

  /** `Set-Cookie` that ends the preview in this browser. */
  clearCookie(): string;

  /** True when the request carries a preview cookie, good or bad: its answer must not be cached. */
  hasCookie(source: WithHeaders): boolean;

  /**
   * Answer a request for a page: verify, call `respond`, and set the headers. A request without the cookie passes
   * untouched; with a bad one it is answered as published, uncached, and the cookie is removed, also where `fetchDraft`
   * was told so; while nobody can check it the answer is 503. The page still has to ask `fetchDraft` itself.
   */
  protect(request: Request, respond: (preview: Preview | null) => Response | Promise<Response>): Promise<Response>;
}

/** Make the preview of a site. Throws PreviewConfigError. */
export function createPreview(options: PreviewOptions): QuillkeepPreview {
  const settings = settingsOf(options);
  const keyring = keyringOf(settings);
  // Beside the previews, so that no log line or page which holds a preview holds its token.
  const tokens = new WeakMap<object, string>();
  const ended = new WeakSet<object>(); // requests and previews whose token the CMS has refused

  async function verifyPreview(source: WithHeaders): Promise<Preview | null> {
    const cookie = readCookie(source);
    if (cookie.kind !== "one") return null;
    const preview = await verifyToken(cookie.token, settings, keyring);
    if (preview !== null) tokens.set(preview, cookie.token);
    return preview;
  }

  const hasCookie = (source: WithHeaders): boolean => readCookie(source).kind !== "none";
  const withPreviewHeaders = (response: Response): Response => withHeaders(response, headersOf(settings));

  return Object.freeze<QuillkeepPreview>({
    cmsOrigin: settings.cmsOrigin,
    embedded: settings.embedded,
    exchangeCode: (code) => exchange(settings, code),
    verifyPreview,
    hasCookie,
    handleHandoff: (request) => handleHandoff(settings, keyring, request),
    leave: (request) => leave(settings, request),
    previewHeaders: () => headersOf(settings),
    withPreviewHeaders,
    clearCookie: () => clearedCookie(settings),

    async fetchDraft<Document extends DraftDocument>(
      source: WithHeaders | Preview,
      collection: string,
      options: DraftOptions = {},
    ): Promise<DraftResult<Document>> {
      const isRequest = "headers" in source;
      const preview = isRequest ? await verifyPreview(source) : source;
      const token = preview === null ? undefined : tokens.get(preview);
      if (preview === null || token === undefined || preview.expiresAt.getTime() <= Date.now()) {
        return { document: null, preview: null, mustClearCookie: !isRequest || hasCookie(source) };
      }
      const found = await readDraft(settings, token, collection, preview.entryId, options);
      if (found === "refused") ended.add(source).add(preview);
      if (typeof found === "string") return { document: null, preview, mustClearCookie: found === "refused" };
      return { document: found as Document, preview, mustClearCookie: false };
    },

    async protect(request, respond) {
      if (!hasCookie(request)) return respond(null);
      const isRead = request.method === "GET" || request.method === "HEAD";
      let response: Response;
      let preview: Preview | null = null;
      try {
        preview = await verifyPreview(request).catch((error: unknown) => {
          // A form of the site, or the exit, needs no draft: it goes through while nobody can check.
          if (error instanceof PreviewUnavailableError && !isRead) return null;
          throw error;
        });
        response = await respond(preview);
      } catch (error) {
        if (error instanceof PreviewUnavailableError) return unavailablePage(settings, error.retryAfter);
        throw error;
      }
      const answer = withPreviewHeaders(response);
      const isSet = answer.headers.getSetCookie().some((cookie) => cookie.startsWith(`${COOKIE}=`));
      const isOver = preview === null || ended.has(request) || ended.has(preview);
      if (isOver && isRead && !isSet) answer.headers.append("Set-Cookie", clearedCookie(settings));
      return answer;
    },
  });
}
