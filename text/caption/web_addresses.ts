// This module is browser compatible.

/**
 * Removes web addresses from captions in time that grows with their length alone.
 *
 * The reference does it with one regular expression, `\b(https?:…|[a-zA-Z0-9.\-]+[.](com|co|…)…)`, which
 * tries every beginning of a word and reads to the end of the run of letters, digits, dots and hyphens each
 * time. Here each run is read once, from its last dot back: that is the dot at which the expression ends up,
 * as it is greedy.
 *
 * @module
 */

import { pythonRegExp } from "./python_regexp.ts";

/** What the names of hosts consist of. */
const RUN = /[a-zA-Z0-9.-]+/g;

/** The end of a host's name, and the path behind it. */
const ENDING = pythonRegExp(String.raw`[.](?:com|co|ru|net|org|edu|gov|it)[\w\/\-]*\b\/?(?!@)`, "y");

const BOUNDARY = pythonRegExp(String.raw`\b`, "y");

/** Begins where a part of the text to be removed does, and ends where it does. */
type Span = readonly [start: number, end: number];

/**
 * Makes a function that removes addresses.
 *
 * @param schemes What addresses may begin with before their colon, each made of letters.
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
   * The host's name in a run: from the first boundary of a word on, and with what follows the last dot that
   * ends one.
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

  /** A scheme at the end of a run: its colon ends the run. */
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

/** What follows the last dot of a file's name. */
const FILE_ENDING = /[.](?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)/y;

const WORD = pythonRegExp(String.raw`\S+`, "g");

/**
 * Removes the names of files, as `\S+\.(?:png|jpg|…)` finds them: up to the last ending in a run without
 * blanks.
 */
export function removeFileNames(text: string): string {
  return text.replace(WORD, (word) => {
    for (let dot = word.lastIndexOf("."); dot > 0; dot = word.lastIndexOf(".", dot - 1)) {
      FILE_ENDING.lastIndex = dot;
      const ending = FILE_ENDING.exec(word);
      if (ending) return word.slice(dot + ending[0].length);
    }
    return word;
  });
}
