// This module is browser compatible.

/**
 * Returns the SHA-256 of bytes.
 *
 * @param bytes The bytes, in memory that is not shared with another thread.
 * @returns 64 lower-case hexadecimal digits.
 */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
