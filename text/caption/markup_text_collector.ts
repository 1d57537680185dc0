// This module is browser compatible.

/**
 * Collects the text of a document while its markup is read, like the tree builder of Beautiful Soup 4.15 but
 * without building the tree.
 *
 * @module
 */

/** Elements without content, and therefore without an end tag. */
const EMPTY_ELEMENTS: ReadonlySet<string> = new Set(
  ("area base br col embed hr img input keygen link menuitem meta param source track wbr " +
    "basefont bgsound command frame image isindex nextid spacer").split(" "),
);
/** Elements whose text is not part of the document's text. */
const ASIDE_ELEMENTS: ReadonlySet<string> = new Set(["rt", "rp", "style", "script", "template"]);
/** Elements whose white space is preserved. */
const PREFORMATTED_ELEMENTS: ReadonlySet<string> = new Set(["pre", "textarea"]);

/** Collects the text between tags. */
export class TextCollector {
  #text = "";
  #pending: string | undefined;
  readonly #open: string[] = [];
  readonly #closedEarly: string[] = [];

  /** Appends text to the current string. */
  add(data: string): void {
    this.#pending = (this.#pending ?? "") + data;
  }

  /** Ends the current string. A blank string outside of preformatted elements shrinks to one character. */
  endString(verbatim = false): void {
    let data = this.#pending;
    this.#pending = undefined;
    if (data === undefined) return;
    if (/^[ \n\t\f\r]*$/.test(data) && !this.#open.some((name) => PREFORMATTED_ELEMENTS.has(name))) {
      data = data.includes("\n") ? "\n" : " ";
    }
    if (verbatim || !this.#open.some((name) => ASIDE_ELEMENTS.has(name))) this.#text += data;
  }

  /** Handles a start tag. */
  openTag(name: string): void {
    this.endString();
    this.#open.push(name);
    if (EMPTY_ELEMENTS.has(name)) {
      this.#close(name);
      this.#closedEarly.push(name);
    }
  }

  /** Handles a self-closing tag: `<br/>`. */
  openAndCloseTag(name: string): void {
    this.endString();
    this.#open.push(name);
    this.#close(name);
  }

  /** Handles an end tag. The end tag of an element without content counts only once. */
  closeTag(name: string): void {
    const early = this.#closedEarly.indexOf(name);
    if (early >= 0) {
      this.#closedEarly.splice(early, 1);
      return;
    }
    this.endString();
    this.#close(name);
  }

  #close(name: string): void {
    const index = this.#open.lastIndexOf(name);
    if (index >= 0) this.#open.length = index;
  }

  /** Returns all text so far. */
  finish(): string {
    this.endString();
    return this.#text;
  }
}
