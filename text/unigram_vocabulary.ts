// This module is browser compatible.

/**
 * What a tokenizer's files say of its vocabulary, whichever file says it.
 *
 * @module
 */

/** The pieces of a Unigram model, in the order of their ids. */
export interface UnigramVocabulary {
  /** The pieces; a piece's index is its id. Words start with `▁` (U+2581). */
  readonly pieces: readonly string[];
  /** Logarithm of each piece's probability. */
  readonly scores: Float64Array;
  /** The compiled map that normalizes text, as SentencePiece stores it; absent where text is left as it is. */
  readonly charsmap?: Uint8Array;
}
