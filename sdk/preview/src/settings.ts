// The options of a site, checked once at start: all faults at once, by name, never a value.

import { base64url } from "jose";
import { PreviewConfigError } from "./errors.js";

export type Algorithm = "EdDSA" | "ES256" | "RS256" | "HS256";
export type Environment = "development" | "staging" | "production";

export interface PreviewOptions {
  /** The CMS's public URL, as it stands in the tokens' `iss`. */
  cmsUrl: string;
  /** Where this server reaches the CMS, when that is another address than the public one. */
  internalUrl?: string | undefined;
  /** The preview site's id in the CMS; the tokens' `aud`. */
  siteId: string;
  /** The preview site's secret. Servers only. */
  clientSecret: string;
  /** The environment of the CMS that may be previewed here. */
  environment: Environment;
  /** The one algorithm that this site's tokens are signed with; "EdDSA" unless said otherwise. */
  algorithm?: Algorithm | undefined;
  /** For HS256: base64url texts of 32 bytes or more, by `kid`, or as a list while they are rotated. */
  sharedSecrets?: Readonly<Record<string, string>> | readonly string[] | undefined;
  /** True when the CMS shows the site in a frame beside the editor. */
  embedded?: boolean | undefined;
  /** Seconds that the clocks may differ, 0 to 15; 15 unless said otherwise. */
  clockTolerance?: number | undefined;
  /** Instead of the global `fetch`. */
  fetch?: typeof fetch | undefined;
}

export interface Settings {
  readonly cmsUrl: string;
  readonly cmsOrigin: string;
  /** Where requests go. */
  readonly askedUrl: string;
  readonly siteId: string;
  readonly clientSecret: string;
  readonly environment: Environment;
  readonly algorithm: Algorithm;
  readonly sharedSecrets: readonly SharedSecret[];
  readonly embedded: boolean;
  readonly clockTolerance: number;
  readonly fetch: typeof fetch;
}

export interface SharedSecret {
  /** Undefined when the secrets were given as a list: then each is tried. */
  readonly kid: string | undefined;
  readonly bytes: Uint8Array;
}

const ALGORITHMS: readonly string[] = ["EdDSA", "ES256", "RS256", "HS256"];
const ENVIRONMENTS: readonly string[] = ["development", "staging", "production"];
const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\]|[a-z0-9-]+\.localhost)$/;
const KNOWN: readonly string[] = [
  "cmsUrl",
  "internalUrl",
  "siteId",
  "clientSecret",
  "environment",
  "algorithm",
  "sharedSecrets",
  "embedded",
  "clockTolerance",
  "fetch",
] satisfies (keyof PreviewOptions)[];

/** Check the options; callers in plain JavaScript are checked as well. Throws PreviewConfigError. */
export function settingsOf(options: PreviewOptions): Settings {
  const faults: string[] = [];
  const given: Partial<Record<keyof PreviewOptions, unknown>> = { ...options };
  for (const name of Object.keys(given)) {
    if (!KNOWN.includes(name)) faults.push(`"${name.slice(0, 40)}" is not an option`);
  }

  const environment = given.environment as Environment;
  if (!ENVIRONMENTS.includes(environment)) faults.push(`environment must be one of ${ENVIRONMENTS.join(", ")}`);

  const algorithm = (given.algorithm ?? "EdDSA") as Algorithm;
  if (!ALGORITHMS.includes(algorithm)) faults.push(`algorithm must be one of ${ALGORITHMS.join(", ")}`);

  const cms = cmsAddress("cmsUrl", given.cmsUrl, environment, faults);
  const asked = given.internalUrl === undefined ? cms : cmsAddress("internalUrl", given.internalUrl, "development", faults);
  if (!isText(given.siteId, 1, 200)) faults.push("siteId is missing");
  if (!isText(given.clientSecret, 16, 512)) faults.push("clientSecret is missing or shorter than 16 characters");

  let sharedSecrets: readonly SharedSecret[] = [];
  if (algorithm === "HS256") sharedSecrets = secretsOf(given.sharedSecrets, faults);
  else if (given.sharedSecrets !== undefined) faults.push("sharedSecrets goes with the algorithm HS256 only");

  if (given.embedded !== undefined && typeof given.embedded !== "boolean") faults.push("embedded must be true or false");
  const clockTolerance = given.clockTolerance ?? 15;
  if (typeof clockTolerance !== "number" || !(clockTolerance >= 0 && clockTolerance <= 15)) {
    faults.push("clockTolerance must be 0 to 15 seconds");
  }
  if (given.fetch !== undefined && typeof given.fetch !== "function") faults.push("fetch must be a function");

  if (faults.length > 0 || cms === null || asked === null) {
    throw new PreviewConfigError(`Quillkeep preview: ${faults.join("; ")}.`);
  }
  return Object.freeze({
    cmsUrl: cms.url,
    cmsOrigin: cms.origin,
    askedUrl: asked.url,
    siteId: options.siteId,
    clientSecret: options.clientSecret,
    environment,
    algorithm,
    sharedSecrets,
    embedded: options.embedded ?? false,
    clockTolerance: clockTolerance as number,
    // Looked up at each call: frameworks replace the global one after modules are loaded.
    fetch: options.fetch ?? ((...args: Parameters<typeof fetch>) => globalThis.fetch(...args)),
  });
}

function cmsAddress(name: string, value: unknown, environment: unknown, faults: string[]): { url: string; origin: string } | null {
  let url: URL;
  try {
    url = new URL(value as string);
  } catch {
    faults.push(`${name} is missing or no URL`);
    return null;
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    faults.push(`${name} must not hold a user, a query or a fragment`);
    return null;
  }
  const isPrivate = environment === "development" || LOOPBACK.test(url.hostname);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isPrivate)) {
    faults.push(`${name} must begin with https:// (http:// is for localhost and development)`);
    return null;
  }
  return { url: (url.origin + url.pathname).replace(/\/+$/, ""), origin: url.origin };
}

function secretsOf(value: unknown, faults: string[]): readonly SharedSecret[] {
  const entries: [string | undefined, unknown][] = Array.isArray(value)
    ? value.map((text) => [undefined, text])
    : Object.entries((value ?? {}) as object);
  const secrets = entries.map(([kid, text]) => ({ kid, bytes: bytesOf(text) }));
  if (secrets.length === 0 || secrets.length > 8) faults.push("sharedSecrets must hold 1 to 8 secrets for HS256");
  if (secrets.some((secret) => secret.bytes.length < 32)) {
    faults.push("sharedSecrets must be base64url texts of 32 bytes or more");
  }
  return secrets;
}

function bytesOf(text: unknown): Uint8Array {
  if (typeof text !== "string" || !/^[A-Za-z0-9_-]{1,1024}$/.test(text)) return new Uint8Array();
  try {
    return base64url.decode(text);
  } catch {
    return new Uint8Array();
  }
}

function isText(value: unknown, min: number, max: number): value is string {
  return typeof value === "string" && value.length >= min && value.length <= max;
}
