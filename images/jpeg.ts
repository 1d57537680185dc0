// This module is browser compatible.

/**
 * JPEG, by MozJPEG compiled to WebAssembly.
 *
 * @module
 */

import decode, { init as initDecoder } from "@jsquash/jpeg/decode.js";
import encode, { init as initEncoder } from "@jsquash/jpeg/encode.js";
import { FormatError, InputError } from "../errors/pixstage_error.ts";
import { decodeExif, encodeExif } from "./exif.ts";
import { checkPictureSize, type PictureHeader } from "./picture_header.ts";
import type { Pixels } from "./pixels.ts";
import { fromRgba, toRgba } from "./rgba.ts";
import { WasmCodec } from "./wasm_codec.ts";

const START_OF_IMAGE = 0xd8;
const START_OF_SCAN = 0xda;
const APPLICATION_0 = 0xe0;
const APPLICATION_1 = 0xe1;
/** The bytes before the Exif block of a JPEG file. */
export const EXIF_LETTERS: Uint8Array = Uint8Array.of(0x45, 0x78, 0x69, 0x66, 0, 0);

const MAX_SIDE = 65535;
const MAX_SEGMENT = 65535;

const decoder = new WasmCodec("jpeg-decoder", initDecoder);
const encoder = new WasmCodec("jpeg-encoder", initEncoder);

/**
 * Writes a progressive JPEG file. The same pixels, quality and texts yield the same bytes.
 *
 * @param pixels The picture, at most 65535 pixels per side.
 * @param quality From 0 to 100.
 * @param metadata Texts, stored as Exif; at most 64 KiB.
 * @returns The file.
 * @throws {InputError} if the data of the pixels does not match their size.
 * @throws {InputError} if the picture or the texts are too large.
 */
export async function encodeJpeg(
  pixels: Pixels,
  quality: number,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  if (Math.max(pixels.width, pixels.height) > MAX_SIDE) {
    throw new InputError(
      "out_of_range",
      `Cannot encode jpeg because a side must have at most ${MAX_SIDE} pixels: ` +
        `current value is ${pixels.width} × ${pixels.height}`,
    );
  }
  const segment = Object.keys(metadata).length === 0 ? new Uint8Array(0) : exifSegment(metadata);
  const image = toRgba(pixels);
  const picture = new Uint8Array(await encoder.run(() => encode(image, { quality })));
  // Exif follows the JFIF segment, because readers expect that one first.
  const isJfif = picture[3] === APPLICATION_0;
  const at = isJfif ? 4 + (picture[4]! << 8 | picture[5]!) : 2;
  const bytes = new Uint8Array(picture.length + segment.length);
  bytes.set(picture.subarray(0, at));
  bytes.set(segment, at);
  bytes.set(picture.subarray(at), at + segment.length);
  return bytes;
}

/**
 * Reads the size and the texts of a JPEG file.
 *
 * @param bytes The file.
 * @returns Its size and texts.
 * @throws {FormatError} if its segments are not valid.
 */
export function readJpegHeader(bytes: Uint8Array): PictureHeader {
  let size: { width: number; height: number } | undefined;
  let exif: Uint8Array | undefined;
  for (const { marker, content } of segments(bytes)) {
    if (isFrame(marker)) {
      const [precision, heightHigh, heightLow, widthHigh, widthLow, components] = content;
      if (precision !== 8 || (components !== 1 && components !== 3)) {
        throw new FormatError(
          `Cannot read JPEG with ${components} components of ${precision} bits: ` +
            `only 1 or 3 components of 8 bits are supported`,
        );
      }
      size = { height: heightHigh! << 8 | heightLow!, width: widthHigh! << 8 | widthLow! };
    } else if (isExif({ marker, content })) {
      exif = content.subarray(EXIF_LETTERS.length);
    } else if (marker === START_OF_SCAN && size !== undefined) {
      return { format: "jpeg", ...size, metadata: exif ? decodeExif(exif) : {} };
    }
  }
  throw new FormatError("Cannot read JPEG: the file has no frame or no scan");
}

/**
 * Decodes a JPEG file. Exif's orientation is not applied.
 *
 * @param bytes The file.
 * @param maxPixels The maximum number of pixels.
 * @returns The picture.
 * @throws {FormatError} if the file is not a valid JPEG file.
 * @throws {InputError} if it has more pixels.
 */
export async function decodeJpeg(bytes: Uint8Array, maxPixels: number): Promise<Pixels> {
  checkPictureSize(readJpegHeader(bytes), maxPixels);
  const { buffer } = new Uint8Array(bytes);
  return fromRgba(await decoder.run(() => decode(buffer)));
}

/**
 * Returns the Exif block of a JPEG file, from its byte order mark on, if there is one before the pixels.
 *
 * @param bytes The file.
 * @throws {FormatError} if its segments are not valid.
 */
export function findJpegExif(bytes: Uint8Array): Uint8Array | undefined {
  for (const segment of segments(bytes)) {
    if (isExif(segment)) return segment.content.subarray(EXIF_LETTERS.length);
    if (segment.marker === START_OF_SCAN) return undefined;
  }
  return undefined;
}

/** A segment of the file: its marker, and the bytes after its length. */
interface Segment {
  readonly marker: number;
  readonly content: Uint8Array;
}

/** Yields the segments of a file in order; the pixels after a scan's header are not a segment. */
function* segments(bytes: Uint8Array): Generator<Segment> {
  if (bytes[0] !== 0xff || bytes[1] !== START_OF_IMAGE) {
    throw new FormatError("Cannot read JPEG: the file does not start with FF D8");
  }
  for (let offset = 2; offset + 4 <= bytes.length;) {
    const marker = bytes[offset + 1]!;
    // Markers can be preceded by repeated FF bytes.
    if (marker === 0xff) {
      offset++;
      continue;
    }
    const end = offset + 2 + (bytes[offset + 2]! << 8 | bytes[offset + 3]!);
    if (bytes[offset] !== 0xff || end < offset + 4 || end > bytes.length) {
      throw new FormatError(`Cannot read JPEG: there is no segment at byte ${offset}`);
    }
    yield { marker, content: bytes.subarray(offset + 4, end) };
    offset = end;
  }
}

function isExif({ marker, content }: Segment): boolean {
  return marker === APPLICATION_1 && EXIF_LETTERS.every((letter, i) => content[i] === letter);
}

/** Returns whether a marker starts a frame: C0 to CF except the tables (C4, CC) and the extension (C8). */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function exifSegment(metadata: Readonly<Record<string, string>>): Uint8Array {
  const exif = encodeExif(metadata);
  const length = 2 + EXIF_LETTERS.length + exif.length;
  if (length > MAX_SEGMENT) {
    throw new InputError(
      "out_of_range",
      `Cannot encode jpeg because its metadata must fit into ${MAX_SEGMENT} bytes: current value is ${length}`,
    );
  }
  return Uint8Array.of(0xff, APPLICATION_1, length >> 8, length & 0xff, ...EXIF_LETTERS, ...exif);
}
