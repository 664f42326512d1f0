// One token, believed only if everything about it is as the CMS makes them (RFC 7519, RFC 8725).

import { decodeProtectedHeader, errors, jwtVerify } from "jose";
import type { JWTPayload } from "jose";
import { PreviewUnavailableError } from "./errors.js";
import type { Keyring } from "./keys.js";
import type { Environment, Settings } from "./settings.js";

export interface PreviewClaims {
  /** The CMS's public URL. */
  readonly iss: string;
  /** The preview site's id. */
  readonly aud: string;
  /** `draft:<entry id>` */
  readonly sub: string;
  readonly jti: string;
  /** Seconds since 1970, as `nbf` and `exp`. */
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
  readonly scope: "preview:read";
  readonly locale: string;
  readonly environment: Environment;
  /** A hash of the editor's session. */
  readonly sid: string;
}

/** A preview that was verified: one draft, in one locale, until a time. */
export interface Preview {
  readonly claims: PreviewClaims;
  readonly entryId: string;
  readonly locale: string;
  readonly expiresAt: Date;
}

/** All that a header may hold (a type, as jose wants one that is open to an index). */
export type PreviewHeader = { readonly alg: string; readonly kid: string; readonly typ: string };

const TYPE = "preview+jwt";
const MAX_LIFETIME = 30 * 60;
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const KID = /^[\x21-\x7e]{1,128}$/;
const SUBJECT = /^draft:([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/;
const LOCALE = /^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4}$/;

/** Return the preview that a token stands for, or null. Throws PreviewUnavailableError when no key can be had. */
export async function verifyToken(token: string, settings: Settings, keyring: Keyring): Promise<Preview | null> {
  const header = readHeader(token, settings);
  if (header === null) return null;
  for (const key of await keyring.candidates(header)) {
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: [settings.algorithm],
        typ: TYPE,
        issuer: settings.cmsUrl,
        audience: settings.siteId,
        clockTolerance: settings.clockTolerance,
        requiredClaims: ["iss", "aud", "sub", "jti", "iat", "nbf", "exp"],
      });
      return readPayload(payload, settings);
    } catch (error) {
      if (error instanceof PreviewUnavailableError) throw error;
      if (error instanceof errors.JWSSignatureVerificationFailed) continue; // another secret may fit
      return null;
    }
  }
  return null;
}

/** `alg`, `kid`, `typ` and nothing else: no `jku`, `jwk`, `x5u` or `crit` is ever looked at. */
function readHeader(token: string, settings: Settings): PreviewHeader | null {
  if (!COMPACT.test(token)) return null;
  let header: Record<string, unknown>;
  try {
    header = { ...decodeProtectedHeader(token) };
  } catch {
    return null;
  }
  const { alg, kid, typ } = header;
  if (Object.keys(header).sort().join() !== "alg,kid,typ") return null;
  if (alg !== settings.algorithm || typ !== TYPE || typeof kid !== "string" || !KID.test(kid)) return null;
  return { alg: settings.algorithm, kid, typ: TYPE };
}

function readPayload(payload: JWTPayload, settings: Settings): Preview | null {
  const { iss, aud, sub, jti, iat, nbf, exp, scope, locale, environment, sid } = payload as Record<string, unknown>;
  const now = Date.now() / 1000;
  if (iss !== settings.cmsUrl || aud !== settings.siteId) return null; // as texts: never one of a list
  if (typeof iat !== "number" || typeof nbf !== "number" || typeof exp !== "number") return null;
  if (iat > now + settings.clockTolerance || exp <= iat || exp - iat > MAX_LIFETIME + settings.clockTolerance) return null;
  if (scope !== "preview:read" || environment !== settings.environment) return null;
  if (!isShort(jti) || !isShort(sid) || typeof locale !== "string" || !LOCALE.test(locale)) return null;
  const entryId = typeof sub === "string" ? SUBJECT.exec(sub)?.[1] : undefined;
  if (entryId === undefined) return null;
  const claims: PreviewClaims = Object.freeze({
    iss: settings.cmsUrl,
    aud: settings.siteId,
    sub: `draft:${entryId}`,
    jti,
    iat,
    nbf,
    exp,
    scope,
    locale,
    environment: settings.environment,
    sid,
  });
  return Object.freeze({ claims, entryId, locale, expiresAt: new Date(exp * 1000) });
}

function isShort(value: unknown): value is string {
  return typeof value === "string" && value.length >= 1 && value.length <= 256;
}
