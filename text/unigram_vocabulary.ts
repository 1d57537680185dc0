// This module is browser compatible.

/**
 * The vocabulary of a tokenizer, independent of the file that contains it.
 *
 * @module
 */

/** The pieces of a Unigram model, in the order of their ids. */
export interface UnigramVocabulary {
  /** The pieces; a piece's index is its id. Words start with `▁` (U+2581). */
  readonly pieces: readonly string[];
  /** The log probability of each piece. */
  readonly scores: Float64Array;
  /** The compiled map that normalizes text, as SentencePiece stores it; absent if text is not normalized. */
  readonly charsmap?: Uint8Array;
}
