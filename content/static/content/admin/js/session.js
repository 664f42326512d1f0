/* Signing in again without leaving the page. */

/** Resolve when the same person has signed in again; reject with AbortError when they would not. */
export async function signInAgain() {
  throw new DOMException("Sign in again.", "AbortError");
}
