// What the environment says, read while the site is built (CMS_URL) and when it starts (all of it).

const env = process.env;
const port = Number(env.PORT ?? 4321);

const cmsUrl = (env.CMS_URL ?? "http://localhost:8000").replace(/\/+$/, "");

export const config = {
  /** The CMS's public URL. */
  cmsUrl,
  /** Where this server reaches it. */
  internalUrl: (env.CMS_INTERNAL_URL ?? cmsUrl).replace(/\/+$/, ""),
  /** Where this site is seen by browsers. */
  siteUrl: new URL(env.SITE_URL ?? `${env.TLS_CERT ? "https" : "http"}://localhost:${port}`),
  host: env.HOST ?? "127.0.0.1",
  port,
  embedded: env.EMBEDDED === "true",
  tls: env.TLS_CERT && env.TLS_KEY ? { cert: env.TLS_CERT, key: env.TLS_KEY } : null,
};

/** Options of `createPreview`, which checks them. */
export function previewOptions() {
  return {
    cmsUrl: config.cmsUrl,
    internalUrl: config.internalUrl,
    siteId: env.SITE_ID ?? "",
    clientSecret: env.CLIENT_SECRET ?? "",
    environment: /** @type {"development" | "staging" | "production"} */ (env.CMS_ENVIRONMENT ?? "development"),
    algorithm: /** @type {"EdDSA" | "ES256" | "RS256" | "HS256"} */ (env.ALGORITHM ?? "EdDSA"),
    sharedSecrets: env.SHARED_SECRETS?.split(","),
    embedded: config.embedded,
  };
}

/**
 * The Content-Security-Policy of every page: no script at all, and in a draft only those with its nonce.
 * @param {string} [nonce]
 */
export function policy(nonce) {
  const cms = new URL(config.cmsUrl).origin;
  return [
    "default-src 'none'",
    `script-src ${nonce === undefined ? "'none'" : `'nonce-${nonce}'`}`,
    "style-src 'self'",
    `img-src 'self' ${cms}`,
    "base-uri 'none'",
    "form-action 'self'",
    `frame-ancestors ${config.embedded ? `'self' ${cms}` : "'none'"}`,
  ].join("; ");
}
