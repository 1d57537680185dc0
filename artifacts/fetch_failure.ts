// This module is browser compatible.

/**
 * Says why a request failed. Platforms throw `fetch failed` and keep the reason behind it.
 *
 * @param error What `fetch` threw.
 * @returns The reason: `client error (Connect): tcp connect error: Connection refused (os error 111)`.
 */
export function fetchFailure(error: unknown): string {
  let reason = error;
  while (reason instanceof TypeError && reason.cause instanceof Error) reason = reason.cause;
  const text = reason instanceof Error ? reason.message : String(reason);
  // The caller names the address.
  return text.replace(/^error sending request for url \([^)]*\): /, "");
}
