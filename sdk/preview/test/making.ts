// What most tests begin with: a CMS, a site, and a browser's request.

import { createPreview, type PreviewOptions, type QuillkeepPreview } from "../src/index.js";
import { articles, startCms } from "./stub-cms.mjs";

export type Cms = Awaited<ReturnType<typeof startCms>>;
export const ENTRY = articles()[0]!._id;
export const DRAFT_ONLY = articles()[2]!._id;

export function optionsFor(cms: Cms, overrides: Partial<PreviewOptions> = {}): PreviewOptions {
  return {
    cmsUrl: cms.url,
    siteId: cms.siteId,
    clientSecret: cms.clientSecret,
    environment: "development",
    algorithm: cms.algorithm,
    ...(cms.algorithm === "HS256" && { sharedSecrets: { [cms.kid]: cms.secret.toString("base64url") } }),
    ...overrides,
  };
}

export function siteOf(cms: Cms, overrides: Partial<PreviewOptions> = {}): QuillkeepPreview {
  return createPreview(optionsFor(cms, overrides));
}

export function visit(path: string, init: RequestInit & { token?: string } = {}): Request {
  const headers = new Headers(init.headers);
  if (init.token !== undefined) headers.append("cookie", `theme=dark; __Host-quillkeep-preview=${init.token}`);
  return new Request(new URL(path, "https://www.example.com"), { ...init, headers });
}
