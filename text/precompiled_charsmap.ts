// This module is browser compatible.

/**
 * Normalizes text by SentencePiece's compiled map of characters (`nmt_nfkc` in T5's tokenizers).
 *
 * The map is a double-array trie (https://github.com/s-yata/darts-clone) over UTF-8, followed by the replacements, each
 * ended by a zero byte. It is looked up grapheme by grapheme as the tokenizers library does, which takes the shortest
 * entry that starts a short grapheme, and drops the rest of it.
 *
 * @module
 */

import { FormatError } from "../errors/pixstage_error.ts";

/** Longer graphemes, in bytes of UTF-8, are looked up character by character. */
const LONGEST_GRAPHEME = 5;

const encoder = new TextEncoder();

/** A compiled map of characters. */
class CharacterMap {
  readonly #units: Uint32Array;
  readonly #replacements: Uint8Array;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(charsmap: Uint8Array, name: string) {
    const view = new DataView(charsmap.buffer, charsmap.byteOffset, charsmap.byteLength);
    const size = charsmap.byteLength < 4 ? -1 : view.getUint32(0, true);
    if (size < 0 || size % 4 !== 0 || size > charsmap.byteLength - 4) {
      throw new FormatError(
        `Cannot read the normalizer of ${name} as its trie must be whole 4-byte units within ` +
          `${charsmap.byteLength} bytes: current size is ${size}`,
      );
    }
    this.#units = new Uint32Array(charsmap.slice(4, 4 + size).buffer);
    this.#replacements = charsmap.subarray(4 + size);
  }

  /** What takes the place of `key`, found by its shortest start in the map. */
  replacementOf(key: string): string | undefined {
    let position = offsetOf(this.#units[0] ?? 0);
    for (const byte of encoder.encode(key)) {
      position = (position ^ byte) >>> 0;
      const unit = this.#units[position];
      if (byte === 0 || unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return undefined;
      position = (position ^ offsetOf(unit)) >>> 0;
      if ((unit >>> 8 & 1) === 1) return this.#replacementAt((this.#units[position] ?? 0) & 0x7fffffff);
    }
    return undefined;
  }

  #replacementAt(start: number): string {
    const end = this.#replacements.indexOf(0, start);
    return this.#decoder.decode(this.#replacements.subarray(start, end < 0 ? undefined : end));
  }
}

/** Where a unit's children lie, relative to the unit. */
function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

/**
 * Makes a function that normalizes text by a compiled map.
 *
 * @param charsmap The map, as SentencePiece stores it.
 * @param name The file that it comes from, for errors.
 * @returns The function.
 * @throws {FormatError} if the map is cut off.
 */
export function createNormalizer(charsmap: Uint8Array, name: string): (text: string) => string {
  const map = new CharacterMap(charsmap, name);
  let segmenter: Intl.Segmenter | undefined;
  const normalizeCharacters = (text: string): string =>
    Array.from(text, (character) => map.replacementOf(character) ?? character).join("");
  return (text) => {
    // Every printable character of ASCII is a grapheme of its own; loading the segmentation rules takes a while.
    if (/^[ -~]*$/.test(text)) return normalizeCharacters(text);
    segmenter ??= new Intl.Segmenter("und", { granularity: "grapheme" });
    return Array.from(segmenter.segment(text), ({ segment }) => {
      if (encoder.encode(segment).length > LONGEST_GRAPHEME) return normalizeCharacters(segment);
      return map.replacementOf(segment) ?? normalizeCharacters(segment);
    }).join("");
  };
}
