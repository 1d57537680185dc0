/**
 * Small picture files that become very large when they are inflated.
 *
 * @module
 */

import { constants, deflateSync } from "node:zlib";
import { encodePng } from "../../images/png.ts";
import { type PngChunk, readPngChunks, writePngChunks } from "../../images/png_chunks.ts";

const MEBIBYTE = 1 << 20;

/** Returns zlib data of zeros; a mebibyte of them takes about 1 KB. */
export function zeros(mebibytes: number, value = 0): Uint8Array {
  const options = { finishFlush: constants.Z_FULL_FLUSH };
  const once = deflateSync(new Uint8Array(MEBIBYTE).fill(value), options);
  // A full flush makes the pieces independent, so they can be repeated after the two bytes of the header.
  const piece = once.subarray(2);
  const data = new Uint8Array(2 + piece.length * mebibytes);
  data.set(once.subarray(0, 2));
  for (let i = 0; i < mebibytes; i++) data.set(piece, 2 + i * piece.length);
  return data;
}

/** Returns a PNG file of one black pixel with further chunks before its pixels, or with other pixels. */
export function pngWith(further: readonly PngChunk[], rows?: Uint8Array): Uint8Array<ArrayBuffer> {
  const plain = readPngChunks(encodePng({ width: 1, height: 1, data: new Uint8Array(3) }));
  return writePngChunks(plain.flatMap((chunk) => {
    if (chunk.type !== "IDAT") return [chunk];
    return [...further, rows ? { type: "IDAT", data: rows } : chunk];
  }));
}

/** Returns a chunk whose fields are text, followed by bytes. */
export function textChunk(type: string, fields: string, data: Uint8Array = new Uint8Array(0)): PngChunk {
  return { type, data: Uint8Array.from([...new TextEncoder().encode(fields), ...data]) };
}
