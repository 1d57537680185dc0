// This module is browser compatible.

/**
 * The chunks of a PNG file.
 *
 * @module
 */

import { FormatError } from "../errors/pixstage_error.ts";

/** A chunk: a four-letter type and its bytes. */
export interface PngChunk {
  /** `IHDR`, `IDAT`, `iTXt`, … */
  readonly type: string;
  /** The content. */
  readonly data: Uint8Array;
}

/** The eight bytes at the start of every PNG file. */
export const PNG_SIGNATURE: Uint8Array = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** Returns the CRC-32 of bytes as PNG defines it (ISO 3309). */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/**
 * Splits a PNG file into its chunks, up to and including `IEND`. The data of the chunks are views, not
 * copies.
 *
 * Source: PNG specification, third edition, 5.
 *
 * @param bytes A PNG file.
 * @returns The chunks in order.
 * @throws {FormatError} if the signature or `IEND` is missing, or if a chunk is truncated or does not match
 * its CRC.
 */
export function readPngChunks(bytes: Uint8Array): PngChunk[] {
  if (PNG_SIGNATURE.some((byte, i) => bytes[i] !== byte)) {
    throw new FormatError("Cannot read PNG: the file does not start with the PNG signature");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: PngChunk[] = [];
  for (let offset = PNG_SIGNATURE.length; offset + 12 <= bytes.length;) {
    const length = view.getUint32(offset);
    const end = offset + 12 + length;
    const type = String.fromCharCode(...bytes.subarray(offset + 4, offset + 8));
    if (end > bytes.length) break;
    if (crc32(bytes.subarray(offset + 4, end - 4)) !== view.getUint32(end - 4)) {
      throw new FormatError(
        `Cannot read PNG: the CRC of the chunk at byte ${offset} does not match its content`,
      );
    }
    chunks.push({ type, data: bytes.subarray(offset + 8, end - 4) });
    if (type === "IEND") return chunks;
    offset = end;
  }
  throw new FormatError(`Cannot read PNG: the file ends without IEND after ${bytes.length} bytes`);
}

/**
 * Joins chunks into a PNG file.
 *
 * @param chunks The chunks in order, with `IHDR` first and `IEND` last.
 * @returns The file.
 */
export function writePngChunks(chunks: readonly PngChunk[]): Uint8Array<ArrayBuffer> {
  const length = chunks.reduce((sum, { data }) => sum + data.length + 12, PNG_SIGNATURE.length);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set(PNG_SIGNATURE);
  let offset = PNG_SIGNATURE.length;
  for (const { type, data } of chunks) {
    view.setUint32(offset, data.length);
    for (let i = 0; i < 4; i++) bytes[offset + 4 + i] = type.charCodeAt(i);
    bytes.set(data, offset + 8);
    const end = offset + 8 + data.length;
    view.setUint32(end, crc32(bytes.subarray(offset + 4, end)));
    offset = end + 4;
  }
  return bytes;
}
