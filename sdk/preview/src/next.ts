// For Next's app router, in terms of the web's own Request and Response: nothing of `next` is needed at run time.

import type { DraftDocument, DraftOptions } from "./cms.js";
import type { WithHeaders } from "./cookie.js";
import type { QuillkeepPreview } from "./preview.js";

type Handler = (request: Request) => Promise<Response>;

/** `draftMode` of "next/headers": makes pages that are static otherwise dynamic for this browser. */
type DraftMode = () => Promise<{ enable(): void; disable(): void }>;

export interface NextPreview {
  /** `export const { GET, HEAD, POST } = quillkeep.handoff` in `app/api/preview/route.ts`. */
  readonly handoff: { readonly GET: Handler; readonly HEAD: Handler; readonly POST: Handler };
  /** `export const { POST } = quillkeep.exit` in `app/api/preview/exit/route.ts`. */
  readonly exit: { readonly POST: Handler };
  /**
   * `export const middleware = quillkeep.middleware(() => NextResponse.next())` (Next 16: `proxy`). It sets headers
   * and guards nothing: a request may get past a middleware (CVE-2025-29927), so pages ask `getDraft`.
   */
  middleware(next: () => Response): Handler;
  /**
   * Return the draft for this request, verified here, or null for the published page.
   * `getDraft({ headers: await headers() }, "articles")`. Throws PreviewUnavailableError.
   */
  getDraft<Document extends DraftDocument = DraftDocument>(
    source: WithHeaders,
    collection: string,
    options?: DraftOptions,
  ): Promise<Document | null>;
}

/** Make the parts of a Next site. */
export function createNextPreview(
  preview: QuillkeepPreview,
  { draftMode }: { readonly draftMode?: DraftMode } = {},
): NextPreview {
  const handoff: Handler = async (request) => {
    const response = await preview.handleHandoff(request);
    if (response.status === 303) (await draftMode?.())?.enable();
    return response;
  };
  return Object.freeze<NextPreview>({
    handoff: { GET: handoff, HEAD: handoff, POST: handoff },
    exit: {
      async POST(request) {
        const response = preview.leave(request);
        if (response.status === 303) (await draftMode?.())?.disable();
        return response;
      },
    },
    middleware: (next) => (request) => preview.protect(request, next),
    async getDraft<Document extends DraftDocument>(source: WithHeaders, collection: string, options?: DraftOptions) {
      return (await preview.fetchDraft<Document>(source, collection, options)).document;
    },
  });
}
