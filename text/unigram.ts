// This module is browser compatible.

/**
 * Unigram language model tokenization: finds the most probable split of a word into pieces of a vocabulary.
 *
 * @see {@link https://arxiv.org/abs/1804.10959} (Kudo 2018). Ties and rounding follow the Unigram model of
 * Hugging Face's tokenizers library.
 *
 * @module
 */

import type { UnigramVocabulary } from "./unigram_vocabulary.ts";

/** The difference in log probability between the least probable piece and an unknown character. */
const UNKNOWN_PENALTY = 10;

/** A Unigram model over a vocabulary. */
export class Unigram {
  readonly #ids = new Map<string, number>();
  readonly #scores: Float64Array;
  readonly #unknownId: number;
  readonly #unknownScore: number;
  readonly #longest: number;

  /**
   * @param vocabulary The pieces and their scores.
   * @param unknownId The id of the piece for characters that no piece covers.
   */
  constructor(vocabulary: Pick<UnigramVocabulary, "pieces" | "scores">, unknownId: number) {
    let longest = 0;
    let id = 0;
    for (const piece of vocabulary.pieces) {
      this.#ids.set(piece, id++);
      if (piece.length > longest) longest = piece.length;
    }
    let least = Infinity;
    for (const score of vocabulary.scores) if (score < least) least = score;
    this.#scores = vocabulary.scores;
    this.#unknownId = unknownId;
    this.#unknownScore = least - UNKNOWN_PENALTY;
    this.#longest = longest;
  }

  /** Returns the id of a piece, or undefined if it is not in the vocabulary. */
  idOf(piece: string): number | undefined {
    return this.#ids.get(piece);
  }

  /**
   * Splits a word into its most probable pieces.
   *
   * @param word The word, prefixed with `▁`.
   * @returns The ids of the pieces; adjacent unknown characters share one.
   */
  encode(word: string): number[] {
    const length = word.length;
    const bestScore = new Float64Array(length + 1);
    const bestStart = new Int32Array(length + 1).fill(-1);
    const bestId = new Int32Array(length + 1);
    const offer = (start: number, end: number, id: number, score: number): void => {
      const total = score + (bestScore[start] ?? 0);
      if (bestStart[end] !== -1 && !(total > (bestScore[end] ?? 0))) return;
      bestScore[end] = total;
      bestStart[end] = start;
      bestId[end] = id;
    };

    for (let start = 0; start < length;) {
      const next = start + ((word.codePointAt(start) ?? 0) > 0xffff ? 2 : 1);
      const last = Math.min(length, start + this.#longest);
      let coversCharacter = false;
      for (let end = next; end <= last; end++) {
        const id = this.#ids.get(word.slice(start, end));
        if (id === undefined) continue;
        offer(start, end, id, this.#scores[id] ?? 0);
        coversCharacter ||= end === next;
      }
      if (!coversCharacter) offer(start, next, this.#unknownId, this.#unknownScore);
      start = next;
    }

    const ids: number[] = [];
    for (let end = length; end > 0; end = bestStart[end] ?? 0) {
      const id = bestId[end] ?? 0;
      if (id !== this.#unknownId || ids.at(-1) !== id) ids.push(id);
    }
    return ids.reverse();
  }
}
