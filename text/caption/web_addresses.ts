// This module is browser compatible.

/**
 * Removes web addresses from captions in time that is linear in their length.
 *
 * The reference uses one regular expression, `\b(https?:…|[a-zA-Z0-9.\-]+[.](com|co|…)…)`. It tries every
 * start of a word and reads to the end of the run of letters, digits, dots and hyphens each time. This file
 * reads each run once, backwards from its last dot, which is where the greedy expression ends up.
 *
 * @module
 */

import { pythonRegExp } from "./python_regexp.ts";

/** The characters of host names. */
const RUN = /[a-zA-Z0-9.-]+/g;

/** The end of a host name, and the path after it. */
const ENDING = pythonRegExp(String.raw`[.](?:com|co|ru|net|org|edu|gov|it)[\w\/\-]*\b\/?(?!@)`, "y");

const BOUNDARY = pythonRegExp(String.raw`\b`, "y");

/** The start and the end of a part of the text to be removed. */
type Span = readonly [start: number, end: number];

/**
 * Returns a function that removes addresses.
 *
 * @param schemes The schemes of addresses (before the colon), each made of letters.
 */
export function removeAddresses(schemes: readonly string[]): (text: string) => string {
  const scheme = pythonRegExp(String.raw`\b(?:${schemes.join("|")}):(?:\/{1,3}|[a-zA-Z0-9%])`, "y");
  return (text) => {
    let kept = "";
    let from = 0;
    RUN.lastIndex = 0;
    for (let run = RUN.exec(text); run !== null; run = RUN.exec(text)) {
      const end = run.index + run[0].length;
      const found = host(text, run.index, end) ?? schemed(text, run.index, end);
      if (!found) continue;
      kept += text.slice(from, found[0]);
      from = found[1];
      RUN.lastIndex = from;
    }
    return kept + text.slice(from);
  };

  /**
   * Returns the host name in a run: from the first word boundary to the last dot that ends a host name, and
   * the path after it.
   */
  function host(text: string, start: number, end: number): Span | undefined {
    for (let dot = text.lastIndexOf(".", end - 1); dot > start; dot = text.lastIndexOf(".", dot - 1)) {
      ENDING.lastIndex = dot;
      const ending = ENDING.exec(text);
      if (!ending) continue;
      for (let at = start; at < dot; at++) {
        BOUNDARY.lastIndex = at;
        if (BOUNDARY.test(text)) return [at, dot + ending[0].length];
      }
      return undefined;
    }
    return undefined;
  }

  /** Returns the scheme at the end of a run: its colon ends the run. */
  function schemed(text: string, start: number, end: number): Span | undefined {
    if (text.charAt(end) !== ":") return undefined;
    for (const { length } of schemes) {
      const at = end - length;
      if (at < start) continue;
      scheme.lastIndex = at;
      const match = scheme.exec(text);
      if (match) return [at, at + match[0].length];
    }
    return undefined;
  }
}

/** The text after the last dot of a file name. */
const FILE_ENDING = /[.](?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)/y;

const WORD = pythonRegExp(String.raw`\S+`, "g");

/**
 * Removes file names like `\S+\.(?:png|jpg|…)`: up to the last such ending in a run without white space.
 */
export function removeFileNames(text: string): string {
  if (!text.includes(".")) return text;
  return text.replace(WORD, (word) => {
    for (let dot = word.lastIndexOf("."); dot > 0; dot = word.lastIndexOf(".", dot - 1)) {
      FILE_ENDING.lastIndex = dot;
      const ending = FILE_ENDING.exec(word);
      if (ending) return word.slice(dot + ending[0].length);
    }
    return word;
  });
}
