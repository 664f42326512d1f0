// Draft previews of Quillkeep, for sites that run on Node, on Workers, or at an edge.

export type { DraftDocument, DraftOptions, Exchanged } from "./cms.js";
export type { Preview, PreviewClaims } from "./claims.js";
export type { WithHeaders } from "./cookie.js";
export { COOKIE } from "./cookie.js";
export { PreviewConfigError, PreviewRefusedError, PreviewUnavailableError } from "./errors.js";
export { sameSitePath } from "./paths.js";
export type { DraftResult, QuillkeepPreview } from "./preview.js";
export { createPreview } from "./preview.js";
export type { Algorithm, Environment, PreviewOptions } from "./settings.js";
