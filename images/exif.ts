// This module is browser compatible.

/**
 * Exif: the orientation of a picture, and texts in JPEG and WebP files. `ImageDescription` contains all texts
 * as JSON, and `UserComment` the text `parameters`, where other programs for generated pictures look for it.
 *
 * @module
 */

import { z } from "zod";

const IMAGE_DESCRIPTION = 0x010e;
const ORIENTATION = 0x0112;
const EXIF_FOLDER = 0x8769;
const USER_COMMENT = 0x9286;

const ASCII = 2;
const LONG = 4;
const UNDEFINED = 7;

/** Bytes per value of each supported type: texts, and signed and unsigned integers. */
const BYTES_OF_TYPE: ReadonlyMap<number, number> = new Map([
  [1, 1],
  [ASCII, 1],
  [3, 2],
  [LONG, 4],
  [6, 1],
  [UNDEFINED, 1],
  [8, 2],
  [9, 4],
]);

/** Maximum size in bytes of a text that is read, and maximum number of texts, as in PNG files. */
const MAX_TEXT = 1 << 20;
const MAX_TEXTS = 1000;

const HEADER_BYTES = 8;
const ENTRY_BYTES = 12;

/** The character code at the start of a `UserComment`. */
const UNICODE_COMMENT = "UNICODE\0";
const ASCII_COMMENT = "ASCII\0\0\0";

const METADATA = z.record(z.string(), z.string());

/**
 * Writes texts as an Exif block: a big-endian TIFF file without a picture.
 *
 * Source: Exif 2.32 and TIFF 6.0.
 *
 * @param metadata The texts; they are stored in the order of their keys.
 * @returns The block, without the preceding letters `Exif`.
 */
export function encodeExif(metadata: Readonly<Record<string, string>>): Uint8Array {
  const keys = Object.keys(metadata).sort();
  const json = JSON.stringify(Object.fromEntries(keys.map((key) => [key, metadata[key]!])));
  // TIFF text is ASCII, and JSON can express everything in ASCII.
  const description = json.replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  ) + "\0";
  const comment = metadata["parameters"];
  const folders = comment === undefined ? 1 : 2;
  const commentBytes = comment === undefined ? 0 : UNICODE_COMMENT.length + comment.length * 2;

  const exifFolder = HEADER_BYTES + 2 + folders * ENTRY_BYTES + 4;
  const descriptionAt = comment === undefined ? exifFolder : exifFolder + 2 + ENTRY_BYTES + 4;
  const commentAt = descriptionAt + description.length + description.length % 2;
  const view = new DataView(new ArrayBuffer(commentAt + commentBytes));
  const writeEntry = (offset: number, tag: number, type: number, count: number, value: number) => {
    view.setUint16(offset, tag);
    view.setUint16(offset + 2, type);
    view.setUint32(offset + 4, count);
    view.setUint32(offset + 8, value);
  };

  view.setUint32(0, 0x4d4d002a);
  view.setUint32(4, HEADER_BYTES);
  view.setUint16(HEADER_BYTES, folders);
  writeEntry(HEADER_BYTES + 2, IMAGE_DESCRIPTION, ASCII, description.length, descriptionAt);
  writeLatin1(view, descriptionAt, description);
  if (comment !== undefined) {
    writeEntry(HEADER_BYTES + 2 + ENTRY_BYTES, EXIF_FOLDER, LONG, 1, exifFolder);
    view.setUint16(exifFolder, 1);
    writeEntry(exifFolder + 2, USER_COMMENT, UNDEFINED, commentBytes, commentAt);
    writeLatin1(view, commentAt, UNICODE_COMMENT);
    for (let i = 0; i < comment.length; i++) {
      view.setUint16(commentAt + UNICODE_COMMENT.length + i * 2, comment.charCodeAt(i));
    }
  }
  return new Uint8Array(view.buffer);
}

/**
 * Reads texts from an Exif block.
 *
 * @param bytes The block, from its byte order mark on.
 * @returns The texts that {@link encodeExif} wrote. For blocks of other programs, the description as
 * `description` and the comment as `parameters`. Empty if the block is damaged, because that is no reason to
 * refuse a picture.
 */
export function decodeExif(bytes: Uint8Array): Record<string, string> {
  try {
    const { view, littleEndian, main } = readMainFolder(bytes);
    const description = main.get(IMAGE_DESCRIPTION);
    const text = description && decodeText(description);
    const stored = readStored(text);
    if (stored) return stored;

    const pointer = main.get(EXIF_FOLDER);
    const exif = pointer && readFolder(view, toNumber(pointer, littleEndian), littleEndian);
    const comment = exif?.get(USER_COMMENT);
    return {
      ...(text && { description: text }),
      ...(comment && { parameters: decodeComment(comment, littleEndian) }),
    };
  } catch (error) {
    // DataView throws for offsets outside of the block.
    if (error instanceof RangeError) return {};
    throw error;
  }
}

/**
 * Reads the orientation of a picture from an Exif block.
 *
 * @param bytes The block, from its byte order mark on.
 * @returns 1 to 8; 1 (upright) if the block has no orientation or is damaged.
 */
export function readOrientation(bytes: Uint8Array): number {
  try {
    const { main, littleEndian } = readMainFolder(bytes);
    const value = main.get(ORIENTATION);
    if (value === undefined) return 1;
    // The type should be SHORT, but readers such as Pillow accept any integer.
    const digits = littleEndian ? value.toReversed() : value;
    const orientation = digits.reduce((number, digit) => number * 256 + digit, 0);
    return orientation >= 1 && orientation <= 8 ? orientation : 1;
  } catch (error) {
    if (error instanceof RangeError) return 1;
    throw error;
  }
}

/** Reads the block's first directory; empty if the block has no byte order. */
function readMainFolder(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const order = view.getUint32(0);
  const littleEndian = order === 0x49492a00;
  const isKnown = littleEndian || order === 0x4d4d002a;
  const main = isKnown
    ? readFolder(view, view.getUint32(4, littleEndian), littleEndian)
    : new Map<number, Uint8Array>();
  return { view, littleEndian, main };
}

/** Returns the values of a directory's entries as bytes, by tag. */
function readFolder(view: DataView, offset: number, littleEndian: boolean): Map<number, Uint8Array> {
  const values = new Map<number, Uint8Array>();
  const entries = view.getUint16(offset, littleEndian);
  for (let i = 0; i < entries; i++) {
    const entry = offset + 2 + i * ENTRY_BYTES;
    const type = view.getUint16(entry + 2, littleEndian);
    const count = view.getUint32(entry + 4, littleEndian);
    const length = count * (BYTES_OF_TYPE.get(type) ?? 0);
    const start = length <= 4 ? entry + 8 : view.getUint32(entry + 8, littleEndian);
    if (length === 0 || start + length > view.byteLength) continue;
    values.set(
      view.getUint16(entry, littleEndian),
      new Uint8Array(view.buffer, view.byteOffset + start, length),
    );
  }
  return values;
}

function toNumber(bytes: Uint8Array, littleEndian: boolean): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, littleEndian);
}

function decodeComment(bytes: Uint8Array, littleEndian: boolean): string {
  const code = String.fromCharCode(...bytes.subarray(0, 8));
  const text = bytes.subarray(8, 8 + MAX_TEXT);
  if (code === UNICODE_COMMENT) return new TextDecoder(littleEndian ? "utf-16le" : "utf-16be").decode(text);
  return decodeText(code === ASCII_COMMENT ? text : bytes);
}

/** Decodes UTF-8 without the zeros at its end. */
function decodeText(bytes: Uint8Array): string {
  const text = bytes.subarray(0, MAX_TEXT);
  // A regular expression would take quadratic time for zeros that do not end the text.
  return new TextDecoder().decode(text.subarray(0, text.findLastIndex((byte) => byte !== 0) + 1));
}

/** Returns the texts in a description; undefined if it is not one of pixstage, or has too many texts. */
function readStored(description: string | undefined): Record<string, string> | undefined {
  let json: unknown;
  try {
    json = JSON.parse(description ?? "");
  } catch {
    return undefined;
  }
  if (typeof json !== "object" || json === null || Object.keys(json).length > MAX_TEXTS) return undefined;
  const stored = METADATA.safeParse(json);
  return stored.success ? stored.data : undefined;
}

function writeLatin1(view: DataView, offset: number, text: string): void {
  for (let i = 0; i < text.length; i++) view.setUint8(offset + i, text.charCodeAt(i));
}
