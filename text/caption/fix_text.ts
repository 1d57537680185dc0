// This module is browser compatible.

/**
 * Repairs broken text like `ftfy.fix_text` of ftfy 6.3 with its default settings.
 *
 * @see {@link https://ftfy.readthedocs.io} for the method, by Robyn Speer.
 *
 * @module
 */

import { namedCharacter, unescapeHtml } from "./html_entities.ts";
import { fixEncoding, replaceC1Controls } from "./mojibake.ts";

/** Ligatures and digraphs that only stand for Latin letters. */
const LIGATURES: Readonly<Record<string, string>> = {
  "Ĳ": "IJ",
  "ĳ": "ij",
  "ŉ": "ʼn",
  "Ǳ": "DZ",
  "ǲ": "Dz",
  "ǳ": "dz",
  "Ǆ": "DŽ",
  "ǅ": "Dž",
  "ǆ": "dž",
  "Ǉ": "LJ",
  "ǈ": "Lj",
  "ǉ": "lj",
  "Ǌ": "NJ",
  "ǋ": "Nj",
  "ǌ": "nj",
  "ﬀ": "ff",
  "ﬁ": "fi",
  "ﬂ": "fl",
  "ﬃ": "ffi",
  "ﬄ": "ffl",
  "ﬅ": "ſt",
  "ﬆ": "st",
};
const LIGATURE = new RegExp(`[${Object.keys(LIGATURES).join("")}]`, "g");

/**
 * Resolves one reference that ends in a semicolon. Accepts names in capitals too, even if HTML defines them
 * only in lower case.
 */
function unescapeReference(reference: string): string {
  if (reference.startsWith("&#")) {
    const character = unescapeHtml(reference);
    return character.includes(";") ? reference : character;
  }
  const name = reference.slice(1, -1);
  const character = namedCharacter(name);
  if (character !== undefined) return character;
  const small = name.toLowerCase();
  if (name !== small.toUpperCase() || unescapeHtml(reference) !== reference) return reference;
  return namedCharacter(small)?.toUpperCase() ?? reference;
}

function unescapeReferences(text: string): string {
  return text.replace(/&#?[0-9A-Za-z]{1,24};/g, unescapeReference);
}

/** Replaces half-width and full-width forms by the usual ones. */
function fixWidth(text: string): string {
  return text.replaceAll("\u3000", " ").replace(
    /[\uff01-\uffef]/g,
    (character) => character.normalize("NFKC"),
  );
}

function fixLine(line: string, unescape: boolean): string {
  let text = line;
  for (;;) {
    const before = text;
    if (unescape) text = unescapeReferences(text);
    text = replaceC1Controls(fixEncoding(text));
    text = text.replace(LIGATURE, (ligature) => LIGATURES[ligature] ?? ligature);
    text = fixWidth(text);
    text = text.replace(/[\u201c-\u201f]/g, '"').replace(/[\u02bc\u2018-\u201b]/g, "'");
    text = text.replace(/\r\n|[\r\u2028\u2029\x85]/g, "\n");
    text = text.toWellFormed();
    // deno-lint-ignore no-control-regex
    text = text.replace(/\x1b\[(?:\p{Nd}|;)*[a-zA-Z]/gu, "");
    // deno-lint-ignore no-control-regex
    text = text.replace(/[\0-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g, "");
    text = text.normalize("NFC");
    if (text === before) return text;
  }
}

/**
 * Repairs text that was decoded in the wrong encoding, character references, curly quotes, Latin ligatures,
 * full-width forms, line breaks and control characters, line by line, and composes it (NFC).
 *
 * @param text Any text.
 * @returns The repaired text.
 *
 * @example Usage
 * ```ts
 * import { fixText } from "./fix_text.ts";
 * import assert from "node:assert/strict";
 * assert.equal(fixText("Broken text&hellip; itâ€™s ﬂubberiﬁc!"), "Broken text… it's flubberific!");
 * ```
 */
export function fixText(text: string): string {
  // From the first line with a `<` on, the text counts as real HTML, whose references must stay.
  let unescape = true;
  return text.split(/(?<=\n)/).map((line) => {
    unescape &&= !line.includes("<");
    return fixLine(line, unescape);
  }).join("");
}
