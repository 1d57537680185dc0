// This module is browser compatible.

/**
 * The Mersenne Twister MT19937, seeded like PyTorch's CPU generator.
 *
 * Source: Matsumoto and Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform
 * pseudorandom number generator", ACM TOMACS 8 (1998); the seeding is `init_genrand` of their 2002 version.
 *
 * @module
 */

/** Number of words in the generator's state. */
export const STATE_WORDS = 624;
const SHIFT = 397;
const TWIST = 0x9908b0df;
const UPPER_BIT = 0x80000000;
const LOWER_BITS = 0x7fffffff;

/** A stream of 32-bit random words. */
export class MersenneTwister {
  #words: Uint32Array;
  #next: number;

  /**
   * @param words The 624 words of state; kept and changed.
   * @param next The index of the next word; 624 if a new block is due.
   */
  constructor(words: Uint32Array, next: number) {
    this.#words = words;
    this.#next = next;
  }

  /**
   * Creates the stream of a seed.
   *
   * @param seed A seed; only its low 32 bits matter.
   * @returns The stream at its start.
   */
  static fromSeed(seed: number): MersenneTwister {
    const words = new Uint32Array(STATE_WORDS);
    words[0] = seed;
    for (let index = 1; index < STATE_WORDS; index++) {
      const before = words[index - 1]!;
      words[index] = Math.imul(before ^ (before >>> 30), 1812433253) + index;
    }
    return new MersenneTwister(words, STATE_WORDS);
  }

  /** A copy of the 624 words of state. */
  get words(): Uint32Array {
    return this.#words.slice();
  }

  /** The index of the next word. */
  get next(): number {
    return this.#next;
  }

  /** Returns the next 32 bits as an integer from 0 to 2^32 - 1. */
  uint32(): number {
    if (this.#next >= STATE_WORDS) {
      twist(this.#words);
      this.#next = 0;
    }
    let word = this.#words[this.#next++]!;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    word ^= word >>> 18;
    return word >>> 0;
  }
}

function twist(words: Uint32Array): void {
  const middle = STATE_WORDS - SHIFT;
  for (let index = 0; index < middle; index++) {
    words[index] = words[index + SHIFT]! ^ mixed(words[index]!, words[index + 1]!);
  }
  for (let index = middle; index < STATE_WORDS - 1; index++) {
    words[index] = words[index - middle]! ^ mixed(words[index]!, words[index + 1]!);
  }
  words[STATE_WORDS - 1] = words[SHIFT - 1]! ^ mixed(words[STATE_WORDS - 1]!, words[0]!);
}

function mixed(upper: number, lower: number): number {
  const word = (upper & UPPER_BIT) | (lower & LOWER_BITS);
  return (word >>> 1) ^ (-(word & 1) & TWIST);
}
