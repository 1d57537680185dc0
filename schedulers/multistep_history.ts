// This module is browser compatible.

/**
 * The predictions of earlier steps that a multistep solver extrapolates from.
 *
 * @module
 */

import { InternalError } from "../errors/pixstage_error.ts";

/** The latest few predictions, newest first. */
export class MultistepHistory {
  readonly #depth: number;
  #predictions: Float32Array[] = [];

  /** @param depth How many predictions are kept. */
  constructor(depth: number) {
    this.#depth = depth;
  }

  /** How many predictions there are. */
  get length(): number {
    return this.#predictions.length;
  }

  /** Remembers a prediction, and forgets the oldest where there are too many. */
  push(prediction: Float32Array): void {
    this.#predictions = [prediction, ...this.#predictions].slice(0, this.#depth);
  }

  /** The prediction of `age` calls ago; 0 is the newest. */
  at(age: number): Float32Array {
    const prediction = this.#predictions[age];
    if (!prediction) {
      throw new InternalError(
        `Cannot look back ${age} predictions as there must be more: current number is ${this.length}`,
      );
    }
    return prediction;
  }

  /** The predictions by name, to be saved. */
  state(): Record<string, Float32Array> {
    return Object.fromEntries(this.#predictions.map((prediction, age) => [`prediction.${age}`, prediction]));
  }

  /** Takes the predictions from what was saved. */
  restore(arrays: Readonly<Record<string, Float32Array>>): void {
    this.#predictions = [];
    for (let age = 0; age < this.#depth; age++) {
      const prediction = arrays[`prediction.${age}`];
      if (prediction) this.#predictions.push(prediction);
    }
  }
}
