// Where the keys come from: the CMS's own JWKS, or the shared secrets of the options. Never from the token.

import { createRemoteJWKSet, customFetch, errors } from "jose";
import type { CryptoKey } from "jose";
import type { PreviewHeader } from "./claims.js";
import { PreviewUnavailableError } from "./errors.js";
import type { Settings } from "./settings.js";

export interface Keyring {
  /** Keys that may have signed a token with this header. Throws PreviewUnavailableError when nobody can say. */
  candidates(header: PreviewHeader): Promise<readonly (CryptoKey | Uint8Array)[]>;
}

/** One algorithm means one kind of key: a public key is never offered as an HMAC secret. */
export function keyringOf(settings: Settings): Keyring {
  return settings.algorithm === "HS256" ? sharedSecrets(settings) : publicKeys(settings);
}

function sharedSecrets(settings: Settings): Keyring {
  return {
    candidates: async ({ kid }) =>
      settings.sharedSecrets
        .filter((secret) => secret.kid === undefined || secret.kid === kid)
        .map((secret) => secret.bytes),
  };
}

function publicKeys(settings: Settings): Keyring {
  const jwks = createRemoteJWKSet(new URL(`${settings.askedUrl}/.well-known/jwks.json`), {
    cacheMaxAge: 5 * 60 * 1000, // as the CMS allows
    cooldownDuration: 30 * 1000, // an unknown `kid` makes us ask again, but not more often
    timeoutDuration: 5000,
    // Frameworks cache what `fetch` returns: a key that was retired must not live there.
    [customFetch]: (url, init) => settings.fetch(url, { ...init, cache: "no-store" }),
  });
  return {
    async candidates(header) {
      try {
        return [await jwks(header)];
      } catch (error) {
        if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) return [];
        throw new PreviewUnavailableError("The CMS's public keys cannot be read.", { cause: error });
      }
    },
  };
}
