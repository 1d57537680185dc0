// This module is browser compatible.

/**
 * Text in PNG files: `tEXt` chunks for Latin-1, `iTXt` chunks for all other text.
 *
 * @module
 */

import { unzlibSync } from "fflate";
import type { PngChunk } from "./png_chunks.ts";

/** Bytes that one compressed text may hold: enough for a prompt, too little to exhaust memory. */
const MAX_COMPRESSED_TEXT = 1 << 20;

const LATIN_1 = /^[\n\x20-\x7e\xa1-\xff]*$/;

/**
 * Makes a text chunk: `tEXt` where the text is Latin-1, which every reader knows, else `iTXt` in UTF-8.
 *
 * Source: PNG specification, third edition, 11.3.3.
 *
 * @param keyword One to 79 printable ASCII characters.
 * @param text The text; without U+0000, which PNG cannot hold.
 * @returns The chunk.
 */
export function encodePngText(keyword: string, text: string): PngChunk {
  if (LATIN_1.test(text)) return { type: "tEXt", data: latin1Bytes(`${keyword}\0${text}`) };
  // After the keyword: not compressed, method 0, no language, no translated keyword.
  return { type: "iTXt", data: new TextEncoder().encode(`${keyword}\0\0\0\0\0${text}`) };
}

/**
 * Reads a text chunk of any kind.
 *
 * @param chunk A chunk.
 * @returns Keyword and text; `undefined` where the chunk holds no text, or none that can be read.
 */
export function decodePngText({ type, data }: PngChunk): [keyword: string, text: string] | undefined {
  if (type !== "tEXt" && type !== "zTXt" && type !== "iTXt") return undefined;
  const end = data.indexOf(0);
  if (end < 1) return undefined;
  const keyword = latin1Text(data.subarray(0, end));
  const rest = data.subarray(end + 1);
  try {
    if (type === "tEXt") return [keyword, latin1Text(rest)];
    if (type === "zTXt") return [keyword, latin1Text(inflateText(rest.subarray(1)))];
    const language = rest.indexOf(0, 2);
    const translated = rest.indexOf(0, language + 1);
    if (language < 0 || translated < 0) return undefined;
    const text = rest.subarray(translated + 1);
    return [keyword, new TextDecoder().decode(rest[0] === 1 ? inflateText(text) : text)];
  } catch {
    // A text that cannot be inflated is no reason to refuse the picture.
    return undefined;
  }
}

/** Inflates into a buffer of fixed size, so that a small file cannot claim much memory; what is longer is cut. */
function inflateText(data: Uint8Array): Uint8Array {
  return unzlibSync(data, { out: new Uint8Array(MAX_COMPRESSED_TEXT) });
}

function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** TextDecoder's "latin1" is windows-1252, which differs at 0x80 to 0x9f. */
function latin1Text(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}
