// For Astro: a middleware that sets `locals.preview` and the headers, and the two routes.
// Astro's `security.checkOrigin` refuses forms from other sites before a route sees them, so also the handoff by
// form_post: a site that uses it turns the option off. The exit checks its origin itself.

import type { Preview } from "./claims.js";
import type { QuillkeepPreview } from "./preview.js";

/** For `declare namespace App { interface Locals extends PreviewLocals {} }` in `src/env.d.ts`. */
export interface PreviewLocals {
  /** What the middleware saw. For showing only: a page asks `fetchDraft(Astro.request, …)`, which verifies itself. */
  preview: Preview | null;
}

/** Given as it is, or as a function when the options are only known at run time. */
export type PreviewOrFactory = QuillkeepPreview | (() => QuillkeepPreview);

interface RouteContext {
  readonly request: Request;
}

interface MiddlewareContext extends RouteContext {
  readonly isPrerendered: boolean;
  readonly locals: object;
}

/** `export const onRequest = previewMiddleware(preview)`. Prerendered pages are left alone: they have no request. */
export function previewMiddleware(
  preview: PreviewOrFactory,
): (context: MiddlewareContext, next: () => Promise<Response>) => Promise<Response> {
  return async (context, next) => {
    const locals = context.locals as PreviewLocals;
    locals.preview = null;
    if (context.isPrerendered) return next();
    return made(preview).protect(context.request, (verified) => {
      locals.preview = verified;
      return next();
    });
  };
}

/** `export const ALL = handoffRoute(preview)` in `src/pages/api/preview/index.ts`. */
export function handoffRoute(preview: PreviewOrFactory): (context: RouteContext) => Promise<Response> {
  return ({ request }) => made(preview).handleHandoff(request);
}

/** `export const ALL = exitRoute(preview)` in `src/pages/api/preview/exit.ts`. */
export function exitRoute(preview: PreviewOrFactory): (context: RouteContext) => Response {
  return ({ request }) => made(preview).leave(request);
}

function made(preview: PreviewOrFactory): QuillkeepPreview {
  return typeof preview === "function" ? preview() : preview;
}
