/// <reference types="astro/client" />

declare namespace App {
  interface Locals extends import("@quillkeep/preview/astro").PreviewLocals {
    /** Set by server.mjs: the published page of this address, or the 404 page. */
    published?: () => Response;
  }
}
