// This module is browser compatible.

/**
 * Repairs text that was decoded in the wrong encoding, like ftfy 6.3.
 *
 * @see {@link https://ftfy.readthedocs.io} for the method, by Robyn Speer.
 *
 * @module
 */

import { pythonRegExp } from "./python_regexp.ts";
import { decodeUtf8, SINGLE_BYTE_ENCODINGS, WINDOWS_1252 } from "./single_byte_encoding.ts";

/**
 * Characters that occur in misread text, grouped by their regular use; each value is the inside of a
 * character class.
 */
const COMMON = String.raw`\xa0\xad·´–—―…’`;
const C1 = String.raw`\x80-\x9f`;
const BAD = String.raw`¦¤¨¬¯¸ƒˆˇ˘˛˜†‡‰⌐◊\ufffdªº`;
const LAW = "¶§";
const CURRENCY = "¢£¥₧€";
const OPENING = String.raw`¡«¿©΄΅‘‚“„•‹\uf8ff`;
const CLOSING = "®»˝”›™";
const NUMERIC = "²³¹±¼½¾×µ÷⁄∂∆∏∑√∞∩∫≈≠≡≤≥№";
const FACES = "Ò-ÖÙ-Üò-öø-üŐŌŪŲ°";
const UPPER_ACCENTED = "À-ÑØÜÝĂĀĄĆČĎĐĘĚĒĖĞĢİĪĶĹĽŁĻŃŇŅŒŘŚŞŠŢŤŮŰŸŹŻŽҐ";
const LOWER_ACCENTED = "ßà-ñăąāćčďđęěēėğģįīķĺľłļœŕśşšťüźżžґﬁﬂ";
const UPPER_COMMON = "ÞΑ-ΩΆΈΉΊΌΎΏΪΫЁ-Я";
const LOWER_COMMON = "α-ωάέήίΰа-џ";
const BOX = "│┌┐┘├┤┬┼═-╬▀▄█▌▐░▒▓";

const ACCENTED = LOWER_ACCENTED + UPPER_ACCENTED;
const SYMBOLS = BOX + OPENING + CLOSING + CURRENCY + NUMERIC + LAW;
const ARABIC_PAIR = `[ØÙ][${COMMON}${CURRENCY}${BAD}${NUMERIC}${OPENING}ŸŠ®°µ»]`;

/** Sequences that hardly ever occur except in misread text. */
const UNLIKELY: RegExp = pythonRegExp([
  `[${C1}]`,
  `[${BAD}${ACCENTED}${SYMBOLS}][${BAD}]`,
  `[a-zA-Z][${LOWER_COMMON}${UPPER_COMMON}][${BAD}]`,
  `[${BAD}][${ACCENTED}${SYMBOLS}]`,
  `[${LOWER_ACCENTED}${LOWER_COMMON}${BOX}${CLOSING}${CURRENCY}${NUMERIC}][${UPPER_ACCENTED}]`,
  `[${BOX}${CLOSING}${CURRENCY}${NUMERIC}][${LOWER_ACCENTED}]`,
  `[${LOWER_ACCENTED}${BOX}${CLOSING}][${CURRENCY}]`,
  String.raw`\s[${UPPER_ACCENTED}][${CURRENCY}]`,
  `[${UPPER_ACCENTED}${BOX}][${NUMERIC}${LAW}]`,
  `[${ACCENTED}${BOX}${CURRENCY}${CLOSING}][${OPENING}][${NUMERIC}]`,
  `[${ACCENTED}${CURRENCY}${NUMERIC}${BOX}${LAW}][${CLOSING}][${OPENING}]`,
  `[${CURRENCY}${NUMERIC}${BOX}][${OPENING}]`,
  `[a-z][${UPPER_ACCENTED}][${OPENING}${CURRENCY}]`,
  `[${BOX}][${FACES}]`,
  `[${ACCENTED}${CURRENCY}${NUMERIC}${OPENING}${CLOSING}${LAW}][${BOX}]`,
  `[${BOX}][${CLOSING}]`,
  String.raw`[${ACCENTED}][${OPENING}${CLOSING}]\w`,
  "[Œœ][^A-Za-z]",
  `[${UPPER_ACCENTED}]°`,
  // Windows-1252
  String.raw`[ÂÃÎÐ][€œŠš¢£Ÿž\xa0\xad®©°·»${OPENING}${CLOSING}–—´]`,
  "×[²³]",
  // Arabic: its characters are also common ones, so only two consecutive pairs count
  ARABIC_PAIR + ARABIC_PAIR,
  // South Asian scripts
  "à[²µ¹¼½¾]",
  // MacRoman
  "√[±∂†≠®™´≤≥¥µø]",
  "≈[°¢]",
  "‚Ä[ìîïòôúùû†°¢π]",
  "‚[âó][àä°ê]",
  // Windows-1251
  "вЂ",
  `[ВГРС][${C1}${BAD}${OPENING}${CLOSING}${CURRENCY}°µ][ВГРС]`,
  String.raw`ГўВЂВ[^\n][A-Za-z ]`,
  // The first bytes of à, á and the no-break space
  String.raw`Ã[\xa0¡]`,
  String.raw`[a-z]\s?[ÃÂ] `,
  "^[ÃÂ] ",
  `[a-z.,?!${CLOSING}]Â[ ${OPENING}${CLOSING}]`,
  // Windows-1253
  String.raw`β€[™\xa0Ά\xad®°]`,
  `[ΒΓΞΟ][${C1}${BAD}${OPENING}${CLOSING}${CURRENCY}°][ΒΓΞΟ]`,
  // Windows-1257
  "ā€",
].join("|"));

/** Returns the characters that bytes of UTF-8 become when they are read as Latin-1 or a Windows encoding. */
function misreadBytes(first: number, last: number): string {
  return SINGLE_BYTE_ENCODINGS.filter(({ name, sloppy }) => sloppy || name === "latin-1")
    .map(({ upper }) => upper.slice(first - 0x80, last - 0x80 + 1)).join("");
}

const CONTINUATION = misreadBytes(0x80, 0xbf);
/** Continuation characters except those common next to misread text: dashes, quotes, bullets, ellipses. */
const STRICT_CONTINUATION = CONTINUATION.replace(/[–—―‘’‚“”„•…]/g, "");

/** Runs that look like UTF-8 read in a single-byte encoding. */
const MISREAD_UTF8 = new RegExp(
  `(?<![${STRICT_CONTINUATION}])(?:[${misreadBytes(0xc2, 0xdf)}][ ${CONTINUATION}]` +
    `|[${misreadBytes(0xe0, 0xef)}][ ${CONTINUATION}]{2}` +
    `|[${misreadBytes(0xf0, 0xf0)}${misreadBytes(0xf3, 0xf3)}][ ${CONTINUATION}]{3})+`,
  "gu",
);

/** UTF-8 in which byte 0xa0 became a space, if the repair yields a likely character. */
const SPACE_FOR_A0 =
  /[\xc2\xc3\xc5\xce\xd0\xd9] |[\xe2\xe3] [\x80-\x84\x86-\x9f\xa1-\xbf]|[\xe0-\xe3][\x80-\x84\x86-\x9f\xa1-\xbf] |\xf0 [\x80-\xbf][\x80-\xbf]|\xf0[\x80-\xbf] [\x80-\xbf]|\xf0[\x80-\xbf][\x80-\xbf] /g;

/** The word "à" whose byte 0xa0 merged with the following space, but not the start of a Portuguese word. */
const A_GRAVE_WORD = /\xc3 (?! |quele|quela|quilo|s )/g;

/** UTF-8 in which the replacement character (0x1a here) or, once, a question mark replaces bytes. */
const LOSSY_UTF8 = new RegExp(
  [
    String.raw`[\xc2-\xdf]\x1a`,
    String.raw`[\xc2-\xc3]\?`,
    String.raw`\xed[\xa0-\xaf][\x1a?]\xed[\xb0-\xbf][\x1a?\x80-\xbf]`,
    String.raw`\xed[\xa0-\xaf][\x1a?\x80-\xbf]\xed[\xb0-\xbf][\x1a?]`,
    String.raw`[\xe0-\xef][\x1a?][\x1a\x80-\xbf]`,
    String.raw`[\xe0-\xef][\x1a\x80-\xbf][\x1a?]`,
    String.raw`[\xf0-\xf4][\x1a?][\x1a\x80-\xbf][\x1a\x80-\xbf]`,
    String.raw`[\xf0-\xf4][\x1a\x80-\xbf][\x1a?][\x1a\x80-\xbf]`,
    String.raw`[\xf0-\xf4][\x1a\x80-\xbf][\x1a\x80-\xbf][\x1a?]`,
    String.raw`\x1a`,
  ].join("|"),
  "g",
);
const REPLACEMENT_BYTES = "\xef\xbf\xbd";

/** Restores byte 0xa0 if a space replaced it. */
function restoreA0(bytes: string): string {
  return bytes.replace(A_GRAVE_WORD, "\xc3\xa0 ").replace(
    SPACE_FOR_A0,
    (part) => part.replaceAll(" ", "\xa0"),
  );
}

/** Decodes C1 controls as Windows-1252. */
export function replaceC1Controls(text: string): string {
  return text.replace(/[\x80-\x9f]/g, (control) => WINDOWS_1252.upper.charAt(control.charCodeAt(0) - 0x80));
}

/** Undoes one wrong decoding. */
function fixOneLayer(text: string): string {
  if (/^[\0-\x7f]*$/.test(text) || !UNLIKELY.test(text)) return text;

  for (const encoding of SINGLE_BYTE_ENCODINGS) {
    let bytes = encoding.encode(text);
    if (bytes === undefined) continue;
    // In MacRoman, an en dash before a space looks like a lost 0xa0.
    if (encoding.name !== "macintosh" && bytes.search(SPACE_FOR_A0) >= 0) bytes = restoreA0(bytes);
    if (encoding.sloppy) bytes = bytes.replace(LOSSY_UTF8, REPLACEMENT_BYTES);
    const fixed = decodeUtf8(bytes);
    if (fixed !== undefined) return fixed;
  }

  const patched = text.replace(
    MISREAD_UTF8,
    (part) => part.length < text.length && UNLIKELY.test(part) ? fixEncoding(part) : part,
  );
  if (patched !== text) return patched;

  return replaceC1Controls(text);
}

/**
 * Repairs UTF-8 text that was decoded as another encoding, once or several times.
 *
 * @param text Any text.
 * @returns The repaired text; the same text if nothing looks wrong.
 *
 * @example Usage
 * ```ts
 * import { fixEncoding } from "./mojibake.ts";
 * import assert from "node:assert/strict";
 * assert.equal(fixEncoding("voilÃ\xa0 le cafÃ©"), "voilà le café");
 * ```
 */
export function fixEncoding(text: string): string {
  let fixed = text;
  for (;;) {
    const next = fixOneLayer(fixed);
    if (next === fixed) return fixed;
    fixed = next;
  }
}
