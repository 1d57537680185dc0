// This module is browser compatible.

/**
 * Mean and variance of groups of channels, accumulated over the strips of a picture. Source: Chan, Golub and
 * LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances" (1979).
 *
 * @module
 */

import { type Tensor, tensor } from "../../../artifacts/tensor.ts";

/** Accumulates the mean and variance of each group. */
export class GroupStatistics {
  readonly #means: Float64Array;
  readonly #squares: Float64Array;
  #count = 0;

  /** @param groups Number of groups. */
  constructor(groups: number) {
    this.#means = new Float64Array(groups);
    this.#squares = new Float64Array(groups);
  }

  /**
   * Adds the statistics of a strip.
   *
   * @param means Mean of each group in the strip.
   * @param squares Sum of squared deviations from that mean.
   * @param count Number of values of a group in the strip.
   */
  add(means: ArrayLike<number>, squares: ArrayLike<number>, count: number): void {
    const total = this.#count + count;
    for (let group = 0; group < this.#means.length; group++) {
      const distance = means[group]! - this.#means[group]!;
      this.#means[group] = this.#means[group]! + distance * (count / total);
      this.#squares[group] = this.#squares[group]! + squares[group]! +
        distance ** 2 * (this.#count * count / total);
    }
    this.#count = total;
  }

  /** Returns the mean of each group. */
  means(): Tensor<"float32"> {
    return tensor("float32", [this.#means.length], Float32Array.from(this.#means));
  }

  /** Returns the reciprocal of each group's standard deviation. */
  scales(epsilon: number): Tensor<"float32"> {
    const scales = Float32Array.from(
      this.#squares,
      (square) => 1 / Math.sqrt(square / this.#count + epsilon),
    );
    return tensor("float32", [scales.length], scales);
  }
}
