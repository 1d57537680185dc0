// This module is browser compatible.

/**
 * HTML character references, resolved like Python's `html.unescape`.
 *
 * @module
 */

import { characterEntities } from "character-entities";
import { characterEntitiesLegacy } from "character-entities-legacy";

const LEGACY: ReadonlySet<string> = new Set(characterEntitiesLegacy);

/**
 * Returns the characters of a named reference.
 *
 * @param name The name without `&` and `;`.
 * @returns One or two characters, or undefined if HTML has no such name.
 */
export function namedCharacter(name: string): string | undefined {
  return Object.hasOwn(characterEntities, name) ? characterEntities[name] : undefined;
}

/** The characters that HTML substitutes for the references 0x80 to 0x9f. */
const C1_CHARACTERS = new TextDecoder("windows-1252").decode(
  Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i),
);

/** Returns the character that HTML substitutes for a reference to a C1 control: that of Windows-1252. */
export function c1Character(code: number): string {
  return C1_CHARACTERS.charAt(code - 0x80);
}

/**
 * Returns whether references to a code are dropped: control characters except white space, and noncharacters.
 */
function isDropped(code: number): boolean {
  return code < 0x20 && !(code >= 9 && code <= 13 && code !== 11) || code === 0x7f ||
    code >= 0xfdd0 && code <= 0xfdef || (code & 0xfffe) === 0xfffe;
}

function numericCharacter(code: number): string {
  if (code === 0 || code > 0x10ffff || code >= 0xd800 && code <= 0xdfff) return "\ufffd";
  if (code >= 0x80 && code <= 0x9f) return c1Character(code);
  return isDropped(code) ? "" : String.fromCodePoint(code);
}

/**
 * Resolves the longest known name at the start of `text`; only the old names are valid without a semicolon.
 */
function resolveNamed(text: string): string {
  if (text.endsWith(";")) {
    const character = namedCharacter(text.slice(0, -1));
    if (character !== undefined) return character;
  }
  for (let end = text.length; end > 1; end--) {
    const name = text.slice(0, end);
    if (LEGACY.has(name)) return namedCharacter(name) + text.slice(end);
  }
  return `&${text}`;
}

/**
 * Replaces all character references, including those without a semicolon if HTML allows that.
 *
 * @param text Any text.
 * @returns The text with `&amp;`, `&#38;`, `&#x26;` and `&amp` resolved.
 *
 * @example Usage
 * ```ts
 * import { unescapeHtml } from "./html_entities.ts";
 * import assert from "node:assert/strict";
 * assert.equal(unescapeHtml("caf&eacute; &amp tea &#x2615;"), "café & tea ☕");
 * ```
 */
export function unescapeHtml(text: string): string {
  return text.replace(
    /&(?:#([0-9]+);?|#[xX]([0-9a-fA-F]+);?|([^\t\n\f <&#;]{1,32};?))/gu,
    (_, decimal, hex, named) => {
      if (named !== undefined) return resolveNamed(named);
      return numericCharacter(decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal));
    },
  );
}
