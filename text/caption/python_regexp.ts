// This module is browser compatible.

/**
 * Regular expressions and white space with Python's semantics: `\w`, `\d`, `\s` and `\b` of Python's `re`
 * cover all of Unicode and differ from JavaScript's.
 *
 * @module
 */

/** The characters that `str.isspace` accepts, as the inside of a character class. */
const SPACE = String.raw`\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`;
const WORD = String.raw`\p{L}\p{N}_`;

const OUTSIDE_CLASS: Readonly<Record<string, string>> = {
  w: `[${WORD}]`,
  s: `[${SPACE}]`,
  S: `[^${SPACE}]`,
  d: String.raw`\p{Nd}`,
  D: String.raw`\P{Nd}`,
  b: `(?:(?<=[${WORD}])(?![${WORD}])|(?<![${WORD}])(?=[${WORD}]))`,
};

const INSIDE_CLASS: Readonly<Record<string, string>> = {
  w: WORD,
  s: SPACE,
  d: String.raw`\p{Nd}`,
  D: String.raw`\P{Nd}`,
};

/**
 * Creates a regular expression in which `\w`, `\d`, `\s`, `\S`, `\D` and `\b` have their meaning in Python's
 * `re` on `str`.
 *
 * @param source The pattern, in the syntax of JavaScript's `u` mode.
 * @param flags Flags in addition to `u`.
 * @returns The regular expression.
 * @throws {SyntaxError} if the pattern is not valid.
 *
 * @example Usage
 * ```ts
 * import { pythonRegExp } from "./python_regexp.ts";
 * import assert from "node:assert/strict";
 * assert.equal("été 42".replace(pythonRegExp(String.raw`\b\w+\b`), "x"), "x 42");
 * ```
 */
export function pythonRegExp(source: string, flags = ""): RegExp {
  let inClass = false;
  const translated = source.replace(/\\.|[[\]]/gsu, (part) => {
    if (part === "[" || part === "]") {
      inClass = part === "[";
      return part;
    }
    return (inClass ? INSIDE_CLASS : OUTSIDE_CLASS)[part.charAt(1)] ?? part;
  });
  return new RegExp(translated, `u${flags}`);
}

/** Tries to match the end once per run of white space, instead of at each character of the run. */
const SPACE_AT_ENDS = new RegExp(`^[${SPACE}]+|(?<![${SPACE}])[${SPACE}]+$`, "gu");

/** Removes the characters that `str.strip()` removes. */
export function pythonStrip(text: string): string {
  return text.replace(SPACE_AT_ENDS, "");
}
