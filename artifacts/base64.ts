// This module is browser compatible.

/**
 * Base64. Node before version 25 lacks the `Uint8Array` methods for it, which take half the time.
 *
 * @module
 */

/** Number of bytes converted at once. More would be too many arguments for one call. */
const CHUNK_BYTES = 1 << 14;

/**
 * Encodes bytes as padded base64.
 *
 * @param bytes The bytes.
 */
export function toBase64(bytes: Uint8Array): string {
  if (typeof bytes.toBase64 === "function") return bytes.toBase64();
  let text = "";
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
    text += String.fromCharCode(...bytes.subarray(start, start + CHUNK_BYTES));
  }
  return btoa(text);
}

/**
 * Decodes base64.
 *
 * @param text The base64.
 * @throws {Error} if the text is not base64.
 */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  if (typeof Uint8Array.fromBase64 === "function") return Uint8Array.fromBase64(text);
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
