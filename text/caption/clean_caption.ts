// This module is browser compatible.

/**
 * Prepares prompts for the tokenizer like PixArt's pipelines.
 *
 * The rules cleaned the captions that DeepFloyd IF was trained on, so prompts must be treated alike.
 * Reference: `_text_preprocessing` and `_clean_caption` of diffusers' `pipeline_pixart_alpha.py`.
 *
 * @module
 */

import { fixText } from "./fix_text.ts";
import { unescapeHtml } from "./html_entities.ts";
import { htmlText } from "./html_text.ts";
import { pythonRegExp, pythonStrip } from "./python_regexp.ts";
import { removeAddresses, removeFileNames } from "./web_addresses.ts";

/**
 * Replaces a pattern in a text. The time of every replacement is linear in the length of the text:
 * expressions of the reference that are not linear are replaced by equivalents.
 */
type Replacement = (text: string) => string;

/**
 * Creates a replacement. Its pattern is compiled when first needed: Unicode classes take longer to compile
 * than a usual prompt takes to clean, and few prompts need more than a few patterns.
 *
 * @param source The pattern.
 * @param by What replaces it.
 * @param needed A simple pattern that matches every text that the replacement would change.
 */
function replacement(source: string, by: string, needed: RegExp): Replacement {
  let pattern: RegExp | undefined;
  return (text) => needed.test(text) ? text.replace(pattern ??= pythonRegExp(source, "g"), by) : text;
}

const NOT_ASCII = /[^\0-\x7f]/;
const DIGIT = /\d|[^\0-\x7f]/;

const ADDRESSES: readonly Replacement[] = [
  replacement("<person>", "person", /<person>/),
  removeAddresses(["https", "http"]),
  removeAddresses(["www"]),
];

const DASHES =
  String.raw`\x2d\u058a\u05be\u1400\u1806\u2010-\u2015\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u301c\u3030` +
  String.raw`\u30a0\ufe31\ufe32\ufe58\ufe63\uff0d`;

const CHARACTERS: readonly Replacement[] = [
  // Mentions
  replacement(String.raw`@[\w\d]+\b`, "", /@/),
  // CJK: strokes, phonetic extensions, enclosed letters, compatibility, extension A, hexagrams, ideographs
  replacement(String.raw`[\u31c0-\u9fff]+`, "", NOT_ASCII),
  replacement(`[${DASHES}]+`, "-", /-|[^\0-\x7f]/),
  replacement("[`´«»“”¨]", '"', /`|[^\0-\x7f]/),
  replacement("[‘’]", "'", NOT_ASCII),
  replacement("&quot;?", "", /&quot/),
  replacement("&amp", "", /&amp/),
  // IP addresses
  replacement(String.raw`\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}`, " ", DIGIT),
  // Times and article numbers at the end
  replacement(String.raw`\d:\d\d\s+$`, "", DIGIT),
  // Line breaks written as \n
  replacement(String.raw`\\n`, " ", /\\n/),
  // Long numbers, and numbers after a #
  replacement(String.raw`#\d{1,3}\b`, "", /#/),
  replacement(String.raw`#\d{5,}\b`, "", /#/),
  replacement(String.raw`\b\d{6,}\b`, "", DIGIT),
  // File names
  removeFileNames,
  // Quotes, dots and punctuation for emphasis
  replacement(`["']{2,}`, '"', /["']/),
  replacement(String.raw`\.{2,}`, " ", /\./),
  replacement(String.raw`[#®•©™&@·º½¾¿¡§~\(\)\[\]\{\}\|\\\/*]+`, " ", /[^\w\s]/),
  replacement(String.raw`(?<!\s)\s+\.\s+`, " ", /\./),
];

const PHRASES: readonly Replacement[] = [
  // Article numbers: jc6640, jc6640vc, 6640vc231
  replacement(String.raw`\b[a-zA-Z]{1,3}\d{3,15}\b`, "", DIGIT),
  replacement(String.raw`\b[a-zA-Z]+\d+[a-zA-Z]+\b`, "", DIGIT),
  replacement(String.raw`\b\d+[a-zA-Z]+\d+\b`, "", DIGIT),
  // Phrases from shops
  replacement(String.raw`(?:worldwide\s+)?(?:free\s+)?shipping`, "", /shipping/),
  replacement(String.raw`(?:free\s)?download(?:\sfree)?`, "", /download/),
  replacement(String.raw`\bclick\b\s(?:for|on)\s\w+`, "", /click/),
  replacement(
    String.raw`\b(?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)(?:\simages?)?`,
    "",
    /png|jpe?g|bmp|webp|eps|pdf|apk|mp4/,
  ),
  replacement(String.raw`\bpage\s+\d+\b`, "", /page/),
  // Codes: j2d1a2a
  replacement(String.raw`\b\d*[a-zA-Z]+\d+[a-zA-Z]+\d[a-zA-Z\d]*\b`, " ", DIGIT),
  // Sizes; the second letter is Cyrillic
  replacement(String.raw`\b\d+(?:\.\d*)?[xх×]\d+(?:\.\d*)?\b`, "", DIGIT),
  // Spaces around punctuation
  replacement(String.raw`\b\s+:\s+`, ": ", /:/),
  replacement(String.raw`(\D[,.\/])\b`, "$1 ", /[,.\/]/),
  replacement(String.raw`\s+`, " ", / {2}|[^ -~]/),
  // Quotes and punctuation around the whole text
  replacement(String.raw`^["']([^]+)["']$`, "$1", /^["']/),
  replacement(String.raw`^['_,\-:;]`, "", /^['_,\-:;]/),
  replacement(String.raw`['_,\-:+]$`, "", /['_,\-:+]$/),
  replacement(String.raw`^\.\S+$`, "", /^\./),
];

function applyAll(text: string, replacements: readonly Replacement[]): string {
  return replacements.reduce((current, replace) => replace(current), text);
}

/**
 * Decodes plus signs to spaces and percent escapes to characters, like Python's `urllib.parse.unquote_plus`.
 */
function unquotePlus(text: string): string {
  return text.replaceAll("+", " ").replace(/(?:%[0-9a-fA-F]{2})+/g, (escapes) => {
    const bytes = escapes.slice(1).split("%").map((byte) => Number.parseInt(byte, 16));
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
  });
}

/** Splits a text whose words are joined by many hyphens or underscores. */
function splitJoinedWords(text: string): string {
  return (text.match(/[-_]/g)?.length ?? 0) > 3 ? text.replace(/[-_]/g, " ") : text;
}

/**
 * Cleans a caption once: lower-cases it, removes addresses, markup, CJK ideographs, file names, article
 * numbers and shop phrases, simplifies quotes and dashes, and repairs the encoding.
 *
 * The pipelines clean twice; so does `captionPreprocessor`.
 *
 * @param text Any text; the function never throws.
 * @returns The cleaned text.
 *
 * @example Usage
 * ```ts
 * import { cleanCaption } from "./clean_caption.ts";
 * import assert from "node:assert/strict";
 * assert.equal(cleanCaption("A <b>Cat</b> — see https://example.com now"), "a cat - see now");
 * ```
 */
export function cleanCaption(text: string): string {
  let caption = pythonStrip(unquotePlus(text)).toLowerCase();
  caption = htmlText(applyAll(caption, ADDRESSES));
  caption = splitJoinedWords(applyAll(caption, CHARACTERS));
  caption = unescapeHtml(unescapeHtml(fixText(caption)));
  return pythonStrip(applyAll(caption, PHRASES));
}
