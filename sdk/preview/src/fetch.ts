// For everything that answers a Request with a Response: Workers, Deno, Bun, Hono, Node.

import type { Preview } from "./claims.js";
import type { QuillkeepPreview } from "./preview.js";

export interface FetchHandlerOptions {
  /** "/api/preview" unless said otherwise. */
  readonly handoffPath?: string;
  /** "/api/preview/exit" unless said otherwise. */
  readonly exitPath?: string;
}

/** Return a fetch handler which answers the handoff and the exit itself and hands every other request to `page`. */
export function createFetchHandler(
  preview: QuillkeepPreview,
  page: (request: Request, context: { preview: Preview | null }) => Response | Promise<Response>,
  { handoffPath = "/api/preview", exitPath = "/api/preview/exit" }: FetchHandlerOptions = {},
): (request: Request) => Promise<Response> {
  return async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === handoffPath) return preview.handleHandoff(request);
    if (pathname === exitPath) return preview.leave(request);
    return preview.protect(request, (verified) => page(request, { preview: verified }));
  };
}
