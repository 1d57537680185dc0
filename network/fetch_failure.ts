// This module is browser compatible.

/**
 * Returns why a request failed. Platforms throw `fetch failed` and keep the reason in its cause.
 *
 * @param error The error from `fetch`.
 * @returns The reason, e.g. `client error (Connect): tcp connect error: Connection refused (os error 111)`.
 */
export function fetchFailure(error: unknown): string {
  let reason = error;
  while (reason instanceof TypeError && reason.cause instanceof Error) reason = reason.cause;
  const text = reason instanceof Error ? reason.message : String(reason);
  // The caller names the URL.
  return text.replace(/^error sending request for url \([^)]*\): /, "");
}
