// This module is browser compatible.

/**
 * Base64. The methods of `Uint8Array` for it are missing in Node before version 25, and take half the time.
 *
 * @module
 */

/** So many bytes become a text at once: more would be too many arguments of a call. */
const CHUNK_BYTES = 1 << 14;

/**
 * Bytes as base64, padded.
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
 * The bytes that base64 stands for.
 *
 * @param text The base64.
 * @throws {Error} if it is none.
 */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  if (typeof Uint8Array.fromBase64 === "function") return Uint8Array.fromBase64(text);
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
