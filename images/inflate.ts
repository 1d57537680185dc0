// This module is browser compatible.

/**
 * Inflates zlib data of untrusted files. A few kilobytes can announce gigabytes, so it stops where the caller has
 * enough.
 *
 * @module
 */

import { Unzlib } from "fflate";

/** Number of compressed bytes that are inflated at a time. Each can become about a thousand. */
const PIECE_BYTES = 1 << 12;

/**
 * Number of bytes without any content after which the data counts as ended, because fflate copies everything that
 * follows the end again and again. A block that is not compressed has at most 64 KiB.
 */
const SILENT_BYTES = 1 << 17;

/**
 * Inflates data up to a number of bytes.
 *
 * @param data zlib data.
 * @param most The number of bytes.
 * @returns The first `most` bytes of the content, or all of it if it is shorter.
 * @throws {Error} if the data is damaged before that.
 */
export function inflateAtMost(data: Uint8Array, most: number): Uint8Array {
  const content = new Uint8Array(most);
  let length = 0;
  let lastContent = 0;
  let end = 0;
  const stream = new Unzlib((piece) => {
    if (piece.length > 0) lastContent = end;
    content.set(piece.subarray(0, most - length), length);
    length = Math.min(most, length + piece.length);
  });
  for (let offset = 0; offset < data.length && length < most; offset = end) {
    if (offset - lastContent > SILENT_BYTES) break;
    end = Math.min(offset + PIECE_BYTES, data.length);
    stream.push(data.subarray(offset, end), end === data.length);
  }
  return content.subarray(0, length);
}
