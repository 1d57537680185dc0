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

  /** @param depth The number of predictions to keep. */
  constructor(depth: number) {
    this.#depth = depth;
  }

  /** The number of predictions so far, at most the depth. */
  get length(): number {
    return this.#predictions.length;
  }

  /** Adds a prediction and drops the oldest one if there are too many. */
  push(prediction: Float32Array): void {
    this.#predictions = [prediction, ...this.#predictions].slice(0, this.#depth);
  }

  /** Returns the prediction of `age` calls ago; 0 is the newest. */
  at(age: number): Float32Array {
    const prediction = this.#predictions[age];
    if (!prediction) {
      throw new InternalError(
        `Cannot look back ${age} predictions because the history is too short: current length is ${this.length}`,
      );
    }
    return prediction;
  }

  /** Returns the predictions by name, to be saved. */
  state(): Record<string, Float32Array> {
    return Object.fromEntries(this.#predictions.map((prediction, age) => [`prediction.${age}`, prediction]));
  }

  /** Restores the predictions from a saved state. */
  restore(arrays: Readonly<Record<string, Float32Array>>): void {
    this.#predictions = [];
    for (let age = 0; age < this.#depth; age++) {
      const prediction = arrays[`prediction.${age}`];
      if (prediction) this.#predictions.push(prediction);
    }
  }
}
