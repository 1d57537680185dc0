// This module is browser compatible.

/**
 * Wildcards in prompts: `a {red|blue {small|large}} car` stands for one of several texts.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";

/** Maximum depth of nested wildcards. */
const DEEPEST = 16;

/** Plain text, or a choice between texts. */
type Part = string | readonly Text[];
type Text = readonly Part[];

/**
 * Replaces the wildcards of a text. Alternatives can be empty and can contain wildcards, which are drawn only
 * if the alternative is chosen. A backslash escapes `{`, `|`, `}` and the backslash itself.
 *
 * @param text The text.
 * @param draw Returns an integer from 0 up to, but excluding, the number of alternatives.
 * @returns The text without wildcards.
 * @throws {InputError} if braces are not balanced.
 *
 * @example Usage
 * ```ts
 * import { fillWildcards } from "./wildcards.ts";
 * import assert from "node:assert/strict";
 * assert.equal(fillWildcards("a {red|blue} car", () => 1), "a blue car");
 * ```
 */
export function fillWildcards(text: string, draw: (alternatives: number) => number): string {
  return fill(parse(text), draw);
}

function fill(parts: Text, draw: (alternatives: number) => number): string {
  return parts.map((part) => typeof part === "string" ? part : fill(part[draw(part.length)]!, draw)).join("");
}

function parse(text: string): Text {
  const characters = [...text];
  let at = 0;
  const fail = (place: number, what: string): never => {
    throw new InputError(
      "invalid_value",
      `Cannot fill the wildcards of a prompt: ${what} at character ${place + 1}`,
      {
        details: { field: "prompts" },
      },
    );
  };
  const read = (depth: number): Text => {
    const parts: Part[] = [];
    let plain = "";
    while (at < characters.length) {
      const character = characters[at]!;
      if (depth > 0 && (character === "|" || character === "}")) break;
      if (character === "}") fail(at, "a } closes nothing");
      if (character === "{") {
        parts.push(plain, readChoice(depth + 1));
        plain = "";
        continue;
      }
      const isEscaped = character === "\\" && "{|}\\".includes(characters[at + 1] ?? " ");
      plain += isEscaped ? characters[at + 1]! : character;
      at += isEscaped ? 2 : 1;
    }
    return [...parts, plain];
  };
  const readChoice = (depth: number): readonly Text[] => {
    const opened = at;
    if (depth > DEEPEST) fail(opened, `wildcards must be nested at most ${DEEPEST} deep: one is deeper`);
    const alternatives: Text[] = [];
    do {
      at++;
      alternatives.push(read(depth));
    } while (characters[at] === "|");
    if (characters[at] !== "}") fail(opened, "a { is not closed");
    at++;
    return alternatives;
  };
  return read(0);
}
