// This module is browser compatible.

/**
 * Normalizes text with SentencePiece's compiled character map (`nmt_nfkc` in T5's tokenizers).
 *
 * The map is a double-array trie (https://github.com/s-yata/darts-clone) over UTF-8, followed by the
 * replacements, each ended by a zero byte. Like the tokenizers library, the lookup goes grapheme by grapheme:
 * it uses the shortest entry that starts a short grapheme and drops the rest of the grapheme.
 *
 * @module
 */

import { FormatError } from "../errors/pixstage_error.ts";

/** Graphemes with more bytes of UTF-8 are looked up character by character. */
const LONGEST_GRAPHEME = 5;

const encoder = new TextEncoder();

/** A compiled character map. */
class CharacterMap {
  readonly #units: Uint32Array;
  readonly #replacements: Uint8Array;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(charsmap: Uint8Array, name: string) {
    const view = new DataView(charsmap.buffer, charsmap.byteOffset, charsmap.byteLength);
    const size = charsmap.byteLength < 4 ? -1 : view.getUint32(0, true);
    if (size < 0 || size % 4 !== 0 || size > charsmap.byteLength - 4) {
      throw new FormatError(
        `Cannot read the normalizer of ${name}: its trie must consist of 4-byte units within ` +
          `${charsmap.byteLength} bytes, but has a size of ${size}`,
      );
    }
    this.#units = new Uint32Array(charsmap.slice(4, 4 + size).buffer);
    this.#replacements = charsmap.subarray(4 + size);
  }

  /** Returns the replacement of `key`, found by its shortest prefix in the map. */
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

/** Returns the offset of a unit's children, relative to the unit. */
function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

/**
 * Returns a function that normalizes text with a compiled map.
 *
 * @param charsmap The map, as SentencePiece stores it.
 * @param name The file that contains the map, for error messages.
 * @returns The function.
 * @throws {FormatError} if the map is truncated.
 */
export function createNormalizer(charsmap: Uint8Array, name: string): (text: string) => string {
  const map = new CharacterMap(charsmap, name);
  let segmenter: Intl.Segmenter | undefined;
  const normalizeCharacters = (text: string): string =>
    Array.from(text, (character) => map.replacementOf(character) ?? character).join("");
  return (text) => {
    // Every printable ASCII character is its own grapheme; loading the segmentation rules takes a while.
    if (/^[ -~]*$/.test(text)) return normalizeCharacters(text);
    segmenter ??= new Intl.Segmenter("und", { granularity: "grapheme" });
    return Array.from(segmenter.segment(text), ({ segment }) => {
      if (encoder.encode(segment).length > LONGEST_GRAPHEME) return normalizeCharacters(segment);
      return map.replacementOf(segment) ?? normalizeCharacters(segment);
    }).join("");
  };
}
