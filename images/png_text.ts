// This module is browser compatible.

/**
 * Text in PNG files: `tEXt` chunks for Latin-1 text, `iTXt` chunks for all other text.
 *
 * @module
 */

import { inflateAtMost } from "./inflate.ts";
import type { PngChunk } from "./png_chunks.ts";

/** Maximum size of one text in bytes: enough for a prompt or a graph, too little to exhaust memory or take long. */
const MAX_TEXT = 1 << 20;
/** Maximum length of a keyword. Source: PNG specification, third edition, 11.3.3.2. */
const MAX_KEYWORD = 79;
/** Maximum number of texts that are read. */
const MAX_TEXTS = 1000;
/** Maximum size of all texts together in bytes, so that many texts do not take long. */
const MAX_TOGETHER = MAX_TEXT * 4;
/** Maximum number of bytes that a compressed byte becomes. Source: zlib's technical details. */
const MAX_RATIO = 1032;

/** Number of bytes that are decoded at once: fewer than a call may have arguments. */
const LATIN_1_PIECE = 1 << 13;

const TEXT_TYPES: ReadonlySet<string> = new Set(["tEXt", "zTXt", "iTXt"]);

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
 * Reads the texts of a file: the first thousand, the first megabyte of each, and four megabytes together.
 *
 * @param chunks The chunks of the file.
 * @returns The texts by keyword.
 */
export function decodePngTexts(chunks: readonly PngChunk[]): Record<string, string> {
  const texts: [string, string][] = [];
  let left = MAX_TOGETHER;
  for (const chunk of chunks.filter(({ type }) => TEXT_TYPES.has(type)).slice(0, MAX_TEXTS)) {
    const most = Math.min(MAX_TEXT, left);
    const read = decodePngText(chunk, most);
    // A text that cannot be inflated takes as long as another one.
    left -= Math.min(left, read ? read[1].length : Math.min(most, chunk.data.length * MAX_RATIO));
    if (read) texts.push(read);
    if (left === 0) break;
  }
  return Object.fromEntries(texts);
}

/** Reads the first bytes of a text chunk of any kind; `undefined` if the chunk contains no readable text. */
function decodePngText(
  { type, data }: PngChunk,
  most: number,
): [keyword: string, text: string] | undefined {
  const end = data.subarray(0, MAX_KEYWORD + 1).indexOf(0);
  if (end < 1) return undefined;
  const keyword = latin1Text(data.subarray(0, end));
  const rest = data.subarray(end + 1);
  try {
    if (type === "tEXt") return [keyword, latin1Text(rest.subarray(0, most))];
    if (type === "zTXt") return [keyword, latin1Text(inflateAtMost(rest.subarray(1), most))];
    const language = rest.indexOf(0, 2);
    const translated = rest.indexOf(0, language + 1);
    if (language < 0 || translated < 0) return undefined;
    const text = rest.subarray(translated + 1);
    const bytes = rest[0] === 1 ? inflateAtMost(text, most) : text.subarray(0, most);
    return [keyword, new TextDecoder().decode(bytes)];
  } catch {
    // A text that cannot be inflated is no reason to refuse the picture.
    return undefined;
  }
}

function latin1Bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Decodes Latin-1; TextDecoder's "latin1" is windows-1252, which differs at 0x80 to 0x9f. */
function latin1Text(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bytes.length; start += LATIN_1_PIECE) {
    text += String.fromCharCode(...bytes.subarray(start, start + LATIN_1_PIECE));
  }
  return text;
}
