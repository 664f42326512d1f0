// Against a CMS that runs: only when the environment says where (README, "Tests").

import { describe, expect, test } from "vitest";
import { createPreview, PreviewRefusedError } from "../src/index.js";
import { visit } from "./making.js";

const env = process.env;
const NEEDED = ["QUILLKEEP_URL", "QUILLKEEP_SITE_ID", "QUILLKEEP_CLIENT_SECRET", "QUILLKEEP_CODES", "QUILLKEEP_COLLECTION"];
const missing = NEEDED.filter((name) => !env[name]);
if (missing.length > 0) console.info(`live.test.ts is skipped: ${missing.join(", ")} not set.`);

describe.skipIf(missing.length > 0)("a CMS that runs", () => {
  const codes = (env["QUILLKEEP_CODES"] ?? "").split(",").filter(Boolean);
  const preview = () =>
    createPreview({
      cmsUrl: env["QUILLKEEP_URL"]!,
      siteId: env["QUILLKEEP_SITE_ID"]!,
      clientSecret: env["QUILLKEEP_CLIENT_SECRET"]!,
      environment: (env["QUILLKEEP_ENVIRONMENT"] ?? "development") as "development",
      algorithm: (env["QUILLKEEP_ALGORITHM"] ?? "EdDSA") as "EdDSA",
      sharedSecrets: env["QUILLKEEP_SHARED_SECRETS"]?.split(","),
    });

  test.each(codes.map((code, index) => [index + 1, code] as const))("code %i: exchanged, verified, read, and used up", async (_, code) => {
    const site = preview();
    const { token, expiresAt } = await site.exchangeCode(code);
    expect(expiresAt.getTime()).toBeGreaterThan(Date.now());
    const request = visit("/", { token });
    const verified = await site.verifyPreview(request);
    expect(verified).not.toBeNull();
    expect(Math.abs(verified!.expiresAt.getTime() - expiresAt.getTime())).toBeLessThan(1500);
    const { document } = await site.fetchDraft(request, env["QUILLKEEP_COLLECTION"]!);
    expect(document).toMatchObject({ _id: verified!.entryId, _locale: expect.any(String) as string });
    await expect(site.exchangeCode(code)).rejects.toBeInstanceOf(PreviewRefusedError);
  });
});
