// This module is browser compatible.

/**
 * The chunks of a WebP file.
 *
 * @module
 */

import { FormatError } from "../errors/pixstage_error.ts";

/** A chunk: a four-letter type and its bytes. */
export interface WebpChunk {
  /** `VP8 `, `VP8L`, `VP8X`, `EXIF`, … */
  readonly type: string;
  /** The content, without the padding to an even length. */
  readonly data: Uint8Array;
}

const FILE_HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;

/**
 * Splits a WebP file into its chunks. The data of the chunks are views, not copies.
 *
 * Source: RFC 9649, 2.
 *
 * @param bytes A WebP file.
 * @returns The chunks in order.
 * @throws {FormatError} if the header is missing or a chunk is truncated.
 */
export function readWebpChunks(bytes: Uint8Array): WebpChunk[] {
  const letters = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < FILE_HEADER_BYTES || letters(0) !== "RIFF" || letters(8) !== "WEBP") {
    throw new FormatError("Cannot read WebP: the file does not start with RIFF and WEBP");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = CHUNK_HEADER_BYTES + view.getUint32(4, true);
  if (end > bytes.length) {
    throw new FormatError(
      `Cannot read WebP: the file is cut off after ${bytes.length} of ${end} bytes`,
    );
  }
  const chunks: WebpChunk[] = [];
  for (let offset = FILE_HEADER_BYTES; offset + CHUNK_HEADER_BYTES <= end;) {
    const start = offset + CHUNK_HEADER_BYTES;
    const length = view.getUint32(offset + 4, true);
    if (start + length > end) {
      throw new FormatError(`Cannot read WebP: the chunk at byte ${offset} extends beyond the file`);
    }
    chunks.push({ type: letters(offset), data: bytes.subarray(start, start + length) });
    offset = start + length + length % 2;
  }
  return chunks;
}

/**
 * Joins chunks into a WebP file.
 *
 * @param chunks The chunks in order.
 * @returns The file.
 */
export function writeWebpChunks(chunks: readonly WebpChunk[]): Uint8Array<ArrayBuffer> {
  const lengths = chunks.map(({ data }) => CHUNK_HEADER_BYTES + data.length + data.length % 2);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, FILE_HEADER_BYTES));
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode("RIFF"));
  view.setUint32(4, bytes.length - CHUNK_HEADER_BYTES, true);
  bytes.set(new TextEncoder().encode("WEBP"), 8);
  let offset = FILE_HEADER_BYTES;
  for (const [i, { type, data }] of chunks.entries()) {
    bytes.set(new TextEncoder().encode(type), offset);
    view.setUint32(offset + 4, data.length, true);
    bytes.set(data, offset + CHUNK_HEADER_BYTES);
    offset += lengths[i]!;
  }
  return bytes;
}
