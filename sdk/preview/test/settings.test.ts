import { expect, test } from "vitest";
import { createPreview, PreviewConfigError, type PreviewOptions } from "../src/index.js";

const GOOD: PreviewOptions = {
  cmsUrl: "https://cms.example.com",
  siteId: "0198c0de-0000-7000-8000-00000000a11c",
  clientSecret: "CANARY-client-secret",
  environment: "production",
};
const SECRET = Buffer.alloc(32, 7).toString("base64url");

test.each([
  [{}],
  [{ cmsUrl: "https://cms.example.com/" }],
  [{ cmsUrl: "http://localhost:8000" }],
  [{ cmsUrl: "http://cms:8000", environment: "development" }],
  [{ internalUrl: "http://cms.internal:8000" }],
  [{ algorithm: "HS256", sharedSecrets: [SECRET] }],
  [{ algorithm: "HS256", sharedSecrets: { a: SECRET, b: SECRET } }],
] as [Partial<PreviewOptions>][])("%j is accepted", (change) => {
  expect(createPreview({ ...GOOD, ...change }).cmsOrigin).toMatch(/^https?:\/\/[a-z.]+(:\d+)?$/);
});

test.each([
  ["cmsUrl", { cmsUrl: "CANARY" }],
  ["cmsUrl", { cmsUrl: undefined }],
  ["cmsUrl", { cmsUrl: "http://cms.example.com" }],
  ["cmsUrl", { cmsUrl: "https://CANARY:pass@cms.example.com" }],
  ["cmsUrl", { cmsUrl: "https://cms.example.com/?a=CANARY" }],
  ["cmsUrl", { cmsUrl: "file:///CANARY" }],
  ["internalUrl", { internalUrl: "CANARY" }],
  ["internalUrl", { internalUrl: "http://CANARY:pass@cms.internal" }],
  ["siteId", { siteId: "" }],
  ["clientSecret", { clientSecret: undefined }],
  ["clientSecret", { clientSecret: "CANARY" }],
  ["environment", { environment: "CANARY" }],
  ["environment", { environment: undefined }],
  ["algorithm", { algorithm: "none" }],
  ["algorithm", { algorithm: ["EdDSA", "HS256"] }],
  ["sharedSecrets", { algorithm: "HS256" }],
  ["sharedSecrets", { algorithm: "HS256", sharedSecrets: [] }],
  ["sharedSecrets", { algorithm: "HS256", sharedSecrets: ["CANARY"] }],
  ["sharedSecrets", { algorithm: "HS256", sharedSecrets: [`${SECRET}=`] }],
  ["sharedSecrets", { sharedSecrets: [SECRET] }],
  ["clockTolerance", { clockTolerance: 16 }],
  ["clockTolerance", { clockTolerance: -1 }],
  ["clockTolerance", { clockTolerance: Number.NaN }],
  ["embedded", { embedded: "CANARY" }],
  ["fetch", { fetch: "CANARY" }],
  ["sharedSecret", { sharedSecret: "CANARY" }],
])("a wrong %s is named, without its value: %j", (name, change) => {
  const make = () => createPreview({ ...GOOD, ...change } as PreviewOptions);
  expect(make).toThrow(PreviewConfigError);
  expect(make).toThrow(name);
  expect(make).not.toThrow(/CANARY/);
});

test("all faults are told at once", () => {
  expect(() => createPreview({} as PreviewOptions)).toThrow(/environment.*cmsUrl.*siteId.*clientSecret/s);
});
