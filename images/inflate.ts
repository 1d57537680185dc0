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
  const stream = new Unzlib((piece) => {
    content.set(piece.subarray(0, most - length), length);
    length = Math.min(most, length + piece.length);
  });
  for (let offset = 0; offset < data.length && length < most; offset += PIECE_BYTES) {
    const end = offset + PIECE_BYTES;
    stream.push(data.subarray(offset, end), end >= data.length);
  }
  return content.subarray(0, length);
}
