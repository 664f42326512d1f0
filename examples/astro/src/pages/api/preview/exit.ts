import { exitRoute } from "@quillkeep/preview/astro";
import { sitePreview } from "../../../lib/preview.js";

export const prerender = false;
export const ALL = exitRoute(sitePreview);
