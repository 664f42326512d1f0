// What can go wrong, told apart by who has to act: the developer, the editor, or time.

/** The options are wrong. The message names them and never holds a value. */
export class PreviewConfigError extends Error {
  override readonly name = "PreviewConfigError";
}

/** The CMS refused a code: used, older than a minute, made for another site (400), or the site's secret is wrong (401). */
export class PreviewRefusedError extends Error {
  override readonly name = "PreviewRefusedError";
  constructor(
    /** HTTP status of the CMS's answer, 400 to 499. */
    readonly status: number,
    /** `code` of its problem document (RFC 9457), where it has one. */
    readonly code?: string,
  ) {
    super(`The CMS refused the preview (${status}${code === undefined ? "" : `, ${code}`}).`);
  }
}

/** Nobody can say now whether this preview is allowed. Never show a draft then. */
export class PreviewUnavailableError extends Error {
  override readonly name = "PreviewUnavailableError";
  /** HTTP status of the CMS's answer, where there was one. */
  readonly status: number | undefined;
  /** Seconds to wait, from `Retry-After`. */
  readonly retryAfter: number | undefined;

  constructor(message: string, options: { status?: number; retryAfter?: number | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = options.status;
    this.retryAfter = options.retryAfter;
  }
}
