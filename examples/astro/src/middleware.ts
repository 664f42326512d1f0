import { previewMiddleware } from "@quillkeep/preview/astro";
import { sitePreview } from "./lib/preview.js";

export const onRequest = previewMiddleware(sitePreview);
