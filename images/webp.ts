// This module is browser compatible.

/**
 * WebP, by libwebp compiled to WebAssembly.
 *
 * @module
 */

import decode, { init as initDecoder } from "@jsquash/webp/decode.js";
import encode, { init as initEncoder } from "@jsquash/webp/encode.js";
import { FormatError, InputError } from "../errors/pixstage_error.ts";
import { decodeExif, encodeExif } from "./exif.ts";
import { checkPictureSize, type PictureHeader } from "./picture_header.ts";
import type { Pixels } from "./pixels.ts";
import { fromRgba, toRgba } from "./rgba.ts";
import { WasmCodec } from "./wasm_codec.ts";
import { readWebpChunks, type WebpChunk, writeWebpChunks } from "./webp_chunks.ts";

const MAX_SIDE = 16383;
/** The bit of `VP8X` that announces Exif. */
const HAS_EXIF = 0x08;

const decoder = new WasmCodec("webp-decoder", initDecoder);
const encoder = new WasmCodec("webp-encoder", initEncoder);

/**
 * Writes a lossy WebP file. The same pixels, quality and texts yield the same bytes.
 *
 * @param pixels The picture, at most 16383 pixels per side.
 * @param quality From 0 to 100.
 * @param metadata Texts, stored as Exif.
 * @returns The file.
 * @throws {InputError} if the data of the pixels does not match their size.
 * @throws {InputError} if the picture is too large.
 */
export async function encodeWebp(
  pixels: Pixels,
  quality: number,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height } = pixels;
  if (Math.max(width, height) > MAX_SIDE) {
    throw new InputError(
      "out_of_range",
      `Cannot encode webp because a side must have at most ${MAX_SIDE} pixels: current value is ${width} × ${height}`,
    );
  }
  const image = toRgba(pixels);
  const picture = new Uint8Array(await encoder.run(() => encode(image, { quality })));
  if (Object.keys(metadata).length === 0) return picture;
  // RFC 9649, 2.7: flags, three reserved bytes, then width and height minus one in 24 bits each.
  const extended = new DataView(new ArrayBuffer(10));
  extended.setUint32(0, HAS_EXIF, true);
  extended.setUint32(4, width - 1, true);
  extended.setUint8(7, height - 1 & 0xff);
  extended.setUint16(8, height - 1 >> 8, true);
  return writeWebpChunks([
    { type: "VP8X", data: new Uint8Array(extended.buffer) },
    ...readWebpChunks(picture),
    { type: "EXIF", data: encodeExif(metadata) },
  ]);
}

/**
 * Reads the size and the texts of a WebP file.
 *
 * @param bytes The file.
 * @returns Its size and texts.
 * @throws {FormatError} if the file is not a valid WebP file or is animated.
 */
export function readWebpHeader(bytes: Uint8Array): PictureHeader {
  const chunks = readWebpChunks(bytes);
  if (chunks.some(({ type }) => type === "ANIM" || type === "ANMF")) {
    throw new FormatError("Cannot read WebP: the file is animated, but only still pictures are supported");
  }
  const frame = chunks.find(({ type }) => type === "VP8 " || type === "VP8L");
  if (frame === undefined || frame.data.length < 10) {
    throw new FormatError("Cannot read WebP: the file has no frame (VP8 or VP8L)");
  }
  const exif = chunks.find(({ type }) => type === "EXIF");
  return { format: "webp", ...frameSize(frame), metadata: exif ? decodeExif(exif.data) : {} };
}

/**
 * Decodes a WebP file. `alpha` contains the opacity if a pixel is not opaque.
 *
 * @param bytes The file.
 * @param maxPixels The maximum number of pixels.
 * @returns The picture.
 * @throws {FormatError} if the file is not a valid WebP file or is animated.
 * @throws {InputError} if it has more pixels.
 */
export async function decodeWebp(bytes: Uint8Array, maxPixels: number): Promise<Pixels> {
  checkPictureSize(readWebpHeader(bytes), maxPixels);
  const { buffer } = new Uint8Array(bytes);
  return fromRgba(await decoder.run(() => decode(buffer)));
}

/** Returns the size in the frame itself, because a decoder allocates that size. */
function frameSize({ type, data }: WebpChunk): { width: number; height: number } {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (type === "VP8 ") {
    // RFC 6386, 9.1: three bytes of tag, three of start code, then 14 bits each and two of scaling.
    return { width: view.getUint16(6, true) & 0x3fff, height: view.getUint16(8, true) & 0x3fff };
  }
  // RFC 9649, 3.4: one byte of signature, then width and height minus one in 14 bits each.
  const bits = view.getUint32(1, true);
  return { width: (bits & 0x3fff) + 1, height: (bits >>> 14 & 0x3fff) + 1 };
}
