// This module is browser compatible.

/**
 * Extracts the text of markup like `BeautifulSoup(markup, "html.parser").text`.
 *
 * Prompts are rarely HTML, so the treatment of stray `<`, `&` and incomplete tags matters most. Python's
 * `html.parser` is special there: a conforming HTML parser drops text that it keeps. This file therefore
 * follows `html.parser` of Python 3.11.
 *
 * @module
 */

import { c1Character, namedCharacter } from "./html_entities.ts";
import { TextCollector } from "./markup_text_collector.ts";
import { pythonRegExp, pythonStrip } from "./python_regexp.ts";

/** Elements whose content is not markup. */
const RAW_ELEMENTS: ReadonlySet<string> = new Set(["script", "style"]);

const MARKUP = /[&<]/g;
const TAG_NAME = pythonRegExp(String.raw`([a-zA-Z][^\t\n\r\f />\x00]*)(?:\s|/(?!>))*`, "y");
const ATTRIBUTE = pythonRegExp(
  String.raw`(?<=['"\s/])[^\s/>][^\s/=>]*(?:\s*=+\s*(?:'[^']*'|"[^"]*"|(?!['"])[^>\s]*))?(?:\s|/(?!>))*`,
  "y",
);
const START_TAG = pythonRegExp(
  String.raw`<[a-zA-Z][^\t\n\r\f />\x00]*` +
    String.raw`(?:[\s/]*(?:(?<=['"\s/])[^\s/>][^\s/=>]*` +
    String.raw`(?:\s*=+\s*(?:'[^']*'|"[^"]*"|(?!['"])[^>\s]*)\s*)?(?:\s|/(?!>))*)*)?\s*`,
  "y",
);
const END_TAG = pythonRegExp(String.raw`</\s*([a-zA-Z][-.a-zA-Z0-9:_]*)\s*>`, "y");
const NUMERIC_REFERENCE = /&#(?:([0-9]+)|[xX]([0-9a-fA-F]+))(?=[^0-9a-fA-F])/y;
const NAMED_REFERENCE = /&([a-zA-Z][-.a-zA-Z0-9]*)(?=[^a-zA-Z0-9])/y;
const COMMENT_END = pythonRegExp(String.raw`--\s*>`, "g");
const SECTION_NAME = pythonRegExp(String.raw`([a-zA-Z][-_.a-zA-Z0-9]*)\s*`, "y");
const SECTION_END = pythonRegExp(String.raw`\]\s*\]\s*>`, "g");
const OFFICE_SECTION_END = pythonRegExp(String.raw`\]\s*>`, "g");

/** Matches a sticky or global expression from a position on. */
function matchFrom(expression: RegExp, text: string, position: number): RegExpExecArray | null {
  expression.lastIndex = position;
  return expression.exec(text);
}

/**
 * Reads markup from left to right. Methods that read a construct return the position after it, or -1 if it is
 * open.
 */
class MarkupReader {
  readonly #markup: string;
  readonly #out = new TextCollector();
  #rawElement: string | undefined;

  constructor(markup: string) {
    this.#markup = markup;
  }

  /**
   * Reads in two passes, as if the parser were fed and then closed: the first pass stops at incomplete
   * constructs.
   */
  read(): string {
    const stop = this.#pass(0, false);
    const end = this.#pass(stop, true);
    if (this.#rawElement === undefined && end < this.#markup.length) this.#out.add(this.#markup.slice(end));
    return this.#out.finish();
  }

  #pass(start: number, final: boolean): number {
    const markup = this.#markup;
    let position = start;
    while (position < markup.length) {
      const next = this.#findMarkup(position);
      if (next < 0) return position;
      if (next > position) this.#out.add(markup.slice(position, next));
      position = next;
      if (position === markup.length) return position;
      if (markup[position] === "<") {
        let end = this.#readTag(position);
        if (end === undefined) return position;
        if (end < 0) {
          if (!final) return position;
          end = this.#endOfBroken(position);
          this.#out.add(markup.slice(position, end));
        }
        position = end;
      } else if (markup.startsWith("&#", position)) {
        const end = this.#readNumericReference(position);
        if (end >= 0) {
          position = end;
          continue;
        }
        if (!markup.includes(";", position)) return position;
        this.#out.add("&#");
        return position + 2;
      } else {
        const end = this.#readNamedReference(position);
        if (end >= 0) {
          position = end;
        } else if (/[a-zA-Z]/.test(markup.charAt(position + 1))) {
          // At the very end, the parser loses the ampersand of `&a`.
          return final && position + 2 === markup.length ? position + 1 : position;
        } else if (position + 1 < markup.length) {
          this.#out.add("&");
          position += 1;
        } else {
          return position;
        }
      }
    }
    return position;
  }

  /**
   * Returns the position of the next `<` or `&`, or of the end tag of a raw element; -1 if that is missing.
   */
  #findMarkup(position: number): number {
    if (this.#rawElement === undefined) {
      return matchFrom(MARKUP, this.#markup, position)?.index ?? this.#markup.length;
    }
    const endTag = pythonRegExp(String.raw`</\s*${this.#rawElement}\s*>`, "gi");
    return matchFrom(endTag, this.#markup, position)?.index ?? -1;
  }

  /** Returns the position at which the text of an unterminated construct ends. */
  #endOfBroken(position: number): number {
    const close = this.#markup.indexOf(">", position + 1);
    if (close >= 0) return close + 1;
    const open = this.#markup.indexOf("<", position + 1);
    return open >= 0 ? open : position + 1;
  }

  /** Reads a tag; returns undefined if nothing follows the `<`. */
  #readTag(position: number): number | undefined {
    const next = this.#markup.charAt(position + 1);
    if (/[a-zA-Z]/.test(next)) return this.#readStartTag(position);
    if (next === "/") return this.#readEndTag(position);
    if (next === "!") return this.#readDeclaration(position);
    if (next === "?") return this.#skipTo(">", position + 2);
    if (next === "") return undefined;
    this.#out.add("<");
    return position + 1;
  }

  #skipTo(close: string, from: number): number {
    const index = this.#markup.indexOf(close, from);
    if (index < 0) return -1;
    this.#out.endString();
    return index + close.length;
  }

  #readDeclaration(position: number): number {
    if (this.#markup.startsWith("<!--", position)) {
      const close = matchFrom(COMMENT_END, this.#markup, position + 4);
      if (close === null) return -1;
      this.#out.endString();
      return close.index + close[0].length;
    }
    if (this.#markup.startsWith("<![", position)) return this.#readSection(position + 3);
    const isDoctype = /^<!doctype/i.test(this.#markup.slice(position, position + 9));
    return this.#skipTo(">", position + (isDoctype ? 9 : 2));
  }

  /**
   * Reads `<![CDATA[…]]>` and similar. The reference refuses sections of unknown names; here they are text.
   */
  #readSection(start: number): number {
    const name = matchFrom(SECTION_NAME, this.#markup, start);
    if (name === null || start + name[0].length === this.#markup.length) return -1;
    const keyword = name[1]?.toLowerCase() ?? "";
    const isStandard = ["temp", "cdata", "ignore", "include", "rcdata"].includes(keyword);
    if (!isStandard && !["if", "else", "endif"].includes(keyword)) return -1;
    const close = matchFrom(isStandard ? SECTION_END : OFFICE_SECTION_END, this.#markup, start);
    if (close === null) return -1;
    this.#out.endString();
    const content = this.#markup.slice(start, close.index);
    if (/^cdata\[/i.test(content)) {
      this.#out.add(content.slice(6));
      this.#out.endString(true);
    }
    return close.index + close[0].length;
  }

  #readStartTag(position: number): number {
    const markup = this.#markup;
    const end = this.#endOfStartTag(position);
    if (end < 0) return end;
    const name = matchFrom(TAG_NAME, markup, position + 1);
    let cursor = position + 1 + (name?.[0].length ?? 0);
    while (cursor < end) {
      const attribute = matchFrom(ATTRIBUTE, markup, cursor);
      if (attribute === null) break;
      cursor += attribute[0].length;
    }
    const rest = pythonStrip(markup.slice(cursor, end));
    const tag = name?.[1]?.toLowerCase() ?? "";
    if (rest === "/>") {
      this.#out.openAndCloseTag(tag);
    } else if (rest === ">") {
      this.#out.openTag(tag);
      if (RAW_ELEMENTS.has(tag)) this.#rawElement = tag;
    } else {
      this.#out.add(markup.slice(position, end));
    }
    return end;
  }

  #endOfStartTag(position: number): number {
    const end = position + (matchFrom(START_TAG, this.#markup, position)?.[0].length ?? 0);
    const next = this.#markup.charAt(end);
    if (next === ">") return end + 1;
    if (next === "/") return this.#markup.startsWith("/>", end) ? end + 2 : -1;
    return next === "" || /[a-zA-Z=]/.test(next) ? -1 : end;
  }

  #readEndTag(position: number): number {
    const markup = this.#markup;
    const close = markup.indexOf(">", position + 1);
    if (close < 0) return -1;
    const match = matchFrom(END_TAG, markup, position);
    const name = match?.[1]?.toLowerCase();
    if (this.#rawElement !== undefined && name !== this.#rawElement) {
      this.#out.add(markup.slice(position, close + 1));
      return close + 1;
    }
    if (name !== undefined) {
      this.#out.closeTag(name);
      this.#rawElement = undefined;
      return close + 1;
    }
    const loose = matchFrom(TAG_NAME, markup, position + 2);
    if (loose === null) {
      if (markup.startsWith("</>", position)) return position + 3;
      return this.#skipTo(">", position + 2);
    }
    this.#out.closeTag(loose[1]?.toLowerCase() ?? "");
    return markup.indexOf(">", position + 2 + loose[0].length) + 1;
  }

  #readNumericReference(position: number): number {
    const match = matchFrom(NUMERIC_REFERENCE, this.#markup, position);
    if (match === null) return -1;
    const code = match[1] === undefined ? Number.parseInt(match[2] ?? "", 16) : Number(match[1]);
    if (code === 0 || code > 0x10ffff || code >= 0xd800 && code <= 0xdfff) this.#out.add("\ufffd");
    else this.#out.add(code >= 0x80 && code <= 0x9f ? c1Character(code) : String.fromCodePoint(code));
    return this.#afterReference(position + match[0].length);
  }

  /** Reads a named reference. An unknown name stays, but loses its semicolon. */
  #readNamedReference(position: number): number {
    const match = matchFrom(NAMED_REFERENCE, this.#markup, position);
    if (match === null) return -1;
    this.#out.add(namedCharacter(match[1] ?? "") ?? match[0]);
    return this.#afterReference(position + match[0].length);
  }

  #afterReference(end: number): number {
    return this.#markup[end] === ";" ? end + 1 : end;
  }
}

/**
 * Returns the text of markup, without tags, comments, scripts and styles, and with character references
 * resolved.
 *
 * @param markup HTML or any other text; the function never throws.
 * @returns The text.
 *
 * @example Usage
 * ```ts
 * import { htmlText } from "./html_text.ts";
 * import assert from "node:assert/strict";
 * assert.equal(htmlText("<b>bold</b> &amp; a < b"), "bold & a < b");
 * ```
 */
export function htmlText(markup: string): string {
  return new MarkupReader(markup).read();
}
