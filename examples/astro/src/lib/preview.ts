// This site's preview, made at the first request: while the pages are built there are no secrets around.

import { createPreview, type QuillkeepPreview } from "@quillkeep/preview";
import { previewOptions } from "./config.mjs";

let made: QuillkeepPreview | undefined;

export function sitePreview(): QuillkeepPreview {
  made ??= createPreview(previewOptions());
  return made;
}
