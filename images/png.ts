// This module is browser compatible.

/**
 * PNG: lossless pictures. Written by this file, read by fast-png.
 *
 * @module
 */

import { convertIndexedToRgb, decode, type DecodedPng } from "fast-png";
import { zlibSync } from "fflate";
import { inflateAtMost } from "./inflate.ts";
import { FormatError } from "../errors/pixstage_error.ts";
import { checkPictureSize, type PictureHeader } from "./picture_header.ts";
import { checkPixels, type Pixels } from "./pixels.ts";
import { type PngChunk, readPngChunks, writePngChunks } from "./png_chunks.ts";
import { filterRows } from "./png_filter.ts";
import { fromRgba, withAlpha } from "./rgba.ts";
import { decodePngTexts, encodePngText } from "./png_text.ts";

/** The number of samples per pixel and the allowed bit depths, by colour type. */
const COLOUR_TYPES: ReadonlyMap<number, { samples: number; depths: readonly number[] }> = new Map([
  [0, { samples: 1, depths: [1, 2, 4, 8, 16] }],
  [2, { samples: 3, depths: [8, 16] }],
  [3, { samples: 1, depths: [1, 2, 4, 8] }],
  [4, { samples: 2, depths: [8, 16] }],
  [6, { samples: 4, depths: [8, 16] }],
]);

/** Adam7: the first column and row of each pass, then the steps to the next ones. */
const ADAM7_PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

interface PngHeader extends PictureHeader {
  readonly depth: number;
  readonly samples: number;
  readonly indexed: boolean;
  readonly interlaced: boolean;
}

/**
 * Writes a PNG file. The same pixels and texts yield the same bytes.
 *
 * @param pixels The picture.
 * @param metadata Texts; they are stored in the order of their keys.
 * @returns The file.
 * @throws {InputError} if the data of the pixels does not match their size.
 */
export function encodePng(
  pixels: Pixels,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  checkPixels(pixels);
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, pixels.width);
  header.setUint32(4, pixels.height);
  header.setUint8(8, 8);
  header.setUint8(9, 2);
  const texts = Object.keys(metadata).sort().map((key) => encodePngText(key, metadata[key]!));
  return writePngChunks([
    { type: "IHDR", data: new Uint8Array(header.buffer) },
    // Texts precede the pixels, so readers of the head of a file find them.
    ...texts,
    // Levels above 4 shrink files by one percent and take three times as long.
    { type: "IDAT", data: zlibSync(filterRows(pixels), { level: 4 }) },
    { type: "IEND", data: new Uint8Array(0) },
  ]);
}

/**
 * Reads the size and the texts of a PNG file.
 *
 * @param bytes The file.
 * @returns Its size and texts.
 * @throws {FormatError} if the file is not a valid PNG file.
 */
export function readPngHeader(bytes: Uint8Array): PictureHeader {
  const { format, width, height, metadata } = parseHeader(readPngChunks(bytes));
  return { format, width, height, metadata };
}

/**
 * Decodes a PNG file. Every colour type and depth becomes 8-bit RGB, with `alpha` if a pixel is not opaque.
 *
 * @param bytes The file.
 * @param maxPixels The maximum number of pixels.
 * @returns The picture.
 * @throws {FormatError} if the file is not a valid PNG file.
 * @throws {InputError} if it has more pixels.
 */
export function decodePng(bytes: Uint8Array, maxPixels: number): Pixels {
  const chunks = readPngChunks(bytes);
  const header = parseHeader(chunks);
  checkPictureSize(header, maxPixels);
  const { depth, indexed, interlaced } = header;
  if (interlaced && depth < 8) {
    throw new FormatError(
      `Cannot decode an interlaced PNG with ${depth} bits per sample: at least 8 bits are supported`,
    );
  }
  try {
    // fast-png inflates without a limit, so it only receives the rows that the header announces, and no other
    // chunks.
    const rows = { type: "IDAT", data: zlibSync(inflateRows(chunks, header), { level: 0 }) };
    const palette = chunks.filter(({ type }) => indexed && type === "PLTE");
    if (indexed && palette.length !== 1) throw new Error(`it has ${palette.length} palettes`);
    const transparency = chunks.filter(({ type }) => indexed && type === "tRNS").slice(0, 1);
    const end = { type: "IEND", data: new Uint8Array(0) };
    const decoded = decode(writePngChunks([chunks[0]!, ...palette, ...transparency, rows, end]));
    return toPixels(decoded);
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new FormatError(`Cannot decode PNG: its data is damaged: ${reason}`, { cause: error });
  }
}

function parseHeader(chunks: readonly PngChunk[]): PngHeader {
  const [first] = chunks;
  if (first?.type !== "IHDR" || first.data.length !== 13) {
    throw new FormatError("Cannot read PNG: its first chunk is not IHDR with 13 bytes");
  }
  const view = new DataView(first.data.buffer, first.data.byteOffset, 13);
  const depth = view.getUint8(8);
  const colourType = view.getUint8(9);
  const colour = COLOUR_TYPES.get(colourType);
  const interlace = view.getUint8(12);
  if (!colour?.depths.includes(depth) || view.getUint16(10) !== 0 || interlace > 1) {
    throw new FormatError(
      `Cannot read PNG with unknown depth, colour type or methods: current values are ${
        first.data.subarray(8)
      }`,
    );
  }
  return {
    format: "png",
    width: view.getUint32(0),
    height: view.getUint32(4),
    metadata: decodePngTexts(chunks),
    depth,
    samples: colour.samples,
    indexed: colourType === 3,
    interlaced: interlace === 1,
  };
}

/** Returns the filtered rows, exactly as many bytes as the header announces. */
function inflateRows(chunks: readonly PngChunk[], header: PngHeader): Uint8Array {
  const { width, height, depth, samples, interlaced } = header;
  const passes = interlaced ? ADAM7_PASSES : [[0, 0, 1, 1] as const];
  let expected = 0;
  for (const [left, top, stepX, stepY] of passes) {
    const columns = Math.ceil((width - left) / stepX);
    const rows = Math.ceil((height - top) / stepY);
    if (columns > 0 && rows > 0) expected += rows * (1 + Math.ceil(columns * samples * depth / 8));
  }
  const parts = chunks.filter(({ type }) => type === "IDAT").map(({ data }) => data);
  const compressed = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    compressed.set(part, offset);
    offset += part.length;
  }
  const rows = inflateAtMost(compressed, expected);
  if (rows.length !== expected) throw new Error(`${rows.length} bytes of ${expected}`);
  return rows;
}

/** Converts the result of fast-png to 8-bit RGB with alpha. */
function toPixels(png: DecodedPng): Pixels {
  const { width, height, channels, data, depth, palette } = png;
  if (palette?.some((entry) => entry.length === 4)) {
    const rgba = convertIndexedToRgb(png);
    return fromRgba({ width, height, data: new Uint8ClampedArray(rgba), colorSpace: "srgb" } as ImageData);
  }
  const pixels = { width, height, data: toRgb(png) };
  if (palette !== undefined || channels % 2 === 1) return pixels;
  // With two or four channels, the last one is alpha.
  const alpha = Uint8Array.from(
    { length: width * height },
    (_, i) => data[(i + 1) * channels - 1]! >> (depth - 8),
  );
  return withAlpha(pixels, alpha);
}

/** Converts the result of fast-png to 8-bit RGB. */
function toRgb(png: DecodedPng): Uint8Array {
  if (png.palette !== undefined) return convertIndexedToRgb(png);
  if (png.depth < 8) {
    // Packed greys are read as indices into a palette of greys.
    const step = 255 / ((1 << png.depth) - 1);
    const palette = Array.from({ length: 1 << png.depth }, (_, i) => [i * step, i * step, i * step]);
    return convertIndexedToRgb({ ...png, palette });
  }
  const { data, channels } = png;
  const rgb = new Uint8Array(png.width * png.height * 3);
  const shift = png.depth - 8;
  const [green, blue] = channels < 3 ? [0, 0] : [1, 2];
  for (let from = 0, to = 0; to < rgb.length; from += channels, to += 3) {
    rgb[to] = data[from]! >> shift;
    rgb[to + 1] = data[from + green]! >> shift;
    rgb[to + 2] = data[from + blue]! >> shift;
  }
  return rgb;
}
