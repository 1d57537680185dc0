// This module is browser compatible.

/**
 * Picture files: PNG, JPEG and WebP, with embedded texts that describe how the picture was made.
 *
 * @module
 */

import { FormatError, InputError } from "../errors/pixstage_error.ts";
import { decodeJpeg, encodeJpeg, readJpegHeader } from "./jpeg.ts";
import type { PictureFormat, PictureHeader } from "./picture_header.ts";
import type { Pixels } from "./pixels.ts";
import { decodePng, encodePng, readPngHeader } from "./png.ts";
import { decodeWebp, encodeWebp, readWebpHeader } from "./webp.ts";

export type { PictureFormat, PictureHeader } from "./picture_header.ts";

/** The picture formats that can be read and written. */
export const PICTURE_FORMATS: readonly PictureFormat[] = ["png", "jpeg", "webp"];

/** The media type of each picture format. */
export const MEDIA_TYPES: Readonly<Record<PictureFormat, string>> = {
  png: "image/png",
  jpeg: "image/jpeg",
  webp: "image/webp",
};

const ENDINGS: Readonly<Record<string, PictureFormat>> = {
  png: "png",
  jpg: "jpeg",
  jpeg: "jpeg",
  webp: "webp",
};

/**
 * Returns the picture format for a file name's extension.
 *
 * @param name A file's name or path: `cat.png`.
 * @throws {InputError} if the extension is not .png, .jpg, .jpeg or .webp.
 */
export function pictureFormatOf(name: string): PictureFormat {
  const ending = /\.([^./\\]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
  if (Object.hasOwn(ENDINGS, ending)) return ENDINGS[ending]!;
  throw new InputError(
    "invalid_value",
    `Cannot choose a format for "${name}" because its extension must be .png, .jpg, .jpeg or .webp`,
  );
}

/** Options for writing a picture file. */
export interface EncodePictureOptions {
  /** The file's format. */
  readonly format: PictureFormat;
  /**
   * Quality of JPEG and WebP, 0 to 100; PNG is lossless.
   *
   * @default {90}
   */
  readonly quality?: number;
  /**
   * Texts to store, by key: one to 79 printable ASCII characters, no space at either end. Texts can contain
   * any Unicode except U+0000; lone surrogates become U+FFFD. JPEG can store at most 64 KiB of them.
   *
   * @default {{}}
   */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Options for reading a picture file. */
export interface DecodePictureOptions {
  /**
   * Maximum number of pixels.
   *
   * @default {100_000_000}
   */
  readonly maxPixels?: number;
}

/** The content of a picture file. */
export interface Picture {
  /** The picture. */
  readonly pixels: Pixels;
  /** The texts in the file, by key. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The file's format. */
  readonly format: PictureFormat;
}

const KEY = /^[!-~](?:[ -~]{0,77}[!-~])?$/;

/**
 * Writes a picture file. The same pixels, quality and texts yield the same bytes.
 *
 * @param pixels The picture.
 * @param options The format, quality and texts.
 * @returns The file.
 * @throws {InputError} if the data of the pixels does not match their size, or if a key or text cannot be
 * stored.
 * @throws {InputError} if the quality is not from 0 to 100, or if the picture or the texts are too large for
 * the format.
 *
 * @example Usage
 * ```ts
 * import { decodePicture, encodePicture } from "./picture.ts";
 *
 * const pixels = { width: 2, height: 1, data: Uint8Array.of(255, 0, 0, 0, 0, 255) };
 * const file = await encodePicture(pixels, { format: "png", metadata: { parameters: "Zwei Bildpunkte ✓" } });
 * const { metadata } = await decodePicture(file);
 * ```
 */
export async function encodePicture(
  pixels: Pixels,
  options: EncodePictureOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const { format, quality = 90 } = options;
  if (!(quality >= 0 && quality <= 100)) {
    throw new InputError(
      "out_of_range",
      `Cannot encode a picture because quality must be from 0 to 100: current value is ${quality}`,
    );
  }
  const metadata = checkMetadata(options.metadata ?? {});
  switch (format) {
    case "png":
      return encodePng(pixels, metadata);
    case "jpeg":
      return await encodeJpeg(pixels, quality, metadata);
    case "webp":
      return await encodeWebp(pixels, quality, metadata);
    default:
      throw new InputError(
        "invalid_value",
        `Cannot encode a picture because its format must be png, jpeg or webp: current value is ${format}`,
      );
  }
}

/**
 * Reads the size and the texts of a picture file without decoding its pixels.
 *
 * @param bytes A PNG, JPEG or WebP file.
 * @returns Its format, size and texts.
 * @throws {FormatError} if the file has another format or is not valid.
 */
export function readPictureHeader(bytes: Uint8Array): PictureHeader {
  const readers = { png: readPngHeader, jpeg: readJpegHeader, webp: readWebpHeader };
  return readers[recognizeFormat(bytes)](bytes);
}

/**
 * Decodes a picture file. All colour types become 8-bit RGB, with transparency as a separate channel.
 *
 * @param bytes A PNG, JPEG or WebP file.
 * @param options The maximum size.
 * @returns The picture, the texts in the file, and its format.
 * @throws {FormatError} if the file has another format or is not valid.
 * @throws {InputError} if it has too many pixels.
 */
export async function decodePicture(bytes: Uint8Array, options: DecodePictureOptions = {}): Promise<Picture> {
  const { maxPixels = 100_000_000 } = options;
  const { format, metadata } = readPictureHeader(bytes);
  const decoders = { png: decodePng, jpeg: decodeJpeg, webp: decodeWebp };
  return { pixels: await decoders[format](bytes, maxPixels), metadata, format };
}

/** Returns whether a file is PNG, JPEG or WebP, judged by its first twelve bytes. */
export function isPictureFile(start: Uint8Array): boolean {
  return formatOf(start) !== undefined;
}

function formatOf(bytes: Uint8Array): PictureFormat | undefined {
  const start = String.fromCharCode(...bytes.subarray(0, 12));
  if (start.startsWith("\x89PNG")) return "png";
  if (start.startsWith("\xff\xd8")) return "jpeg";
  return start.startsWith("RIFF") && start.endsWith("WEBP") ? "webp" : undefined;
}

function recognizeFormat(bytes: Uint8Array): PictureFormat {
  const format = formatOf(bytes);
  if (format !== undefined) return format;
  throw new FormatError(
    `Cannot read a picture: the file is not PNG, JPEG or WebP, but starts with ` +
      `${
        Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join(" ") || "nothing"
      }`,
  );
}

function checkMetadata(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([key, text]) => {
      if (!KEY.test(key)) {
        throw new InputError(
          "invalid_value",
          `Cannot store a text because its key must be 1 to 79 printable ASCII characters without outer spaces: ` +
            `current value is ${JSON.stringify(key)}`,
        );
      }
      if (typeof text !== "string" || text.includes("\0")) {
        throw new InputError(
          "invalid_value",
          `Cannot store the text "${key}": it must be a string without U+0000`,
        );
      }
      return [key, text.toWellFormed()];
    }),
  );
}
