// This module is browser compatible.

/**
 * Text in PNG files: `tEXt` chunks for Latin-1 text, `iTXt` chunks for all other text.
 *
 * @module
 */

import { unzlibSync } from "fflate";
import type { PngChunk } from "./png_chunks.ts";

/** Maximum size of one compressed text in bytes: enough for a prompt, too little to exhaust memory. */
const MAX_COMPRESSED_TEXT = 1 << 20;

const LATIN_1 = /^[\n\x20-\x7e\xa1-\xff]*$/;

/**
 * Creates a text chunk: `tEXt`, which every reader supports, if the text is Latin-1, otherwise `iTXt` in
 * UTF-8.
 *
 * Source: PNG specification, third edition, 11.3.3.
 *
 * @param keyword One to 79 printable ASCII characters.
 * @param text The text; without U+0000, which PNG cannot store.
 * @returns The chunk.
 */
export function encodePngText(keyword: string, text: string): PngChunk {
  if (LATIN_1.test(text)) return { type: "tEXt", data: latin1Bytes(`${keyword}\0${text}`) };
  // The fields after the keyword: not compressed, method 0, no language, no translated keyword.
  return { type: "iTXt", data: new TextEncoder().encode(`${keyword}\0\0\0\0\0${text}`) };
}

/**
 * Reads a text chunk of any kind.
 *
 * @param chunk A chunk.
 * @returns Keyword and text; `undefined` if the chunk contains no readable text.
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

/** Inflates into a buffer of fixed size and truncates the rest, so a small file cannot claim much memory. */
function inflateText(data: Uint8Array): Uint8Array {
  return unzlibSync(data, { out: new Uint8Array(MAX_COMPRESSED_TEXT) });
}

function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Decodes Latin-1; TextDecoder's "latin1" is windows-1252, which differs at 0x80 to 0x9f. */
function latin1Text(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}
