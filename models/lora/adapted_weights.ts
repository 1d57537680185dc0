// This module is browser compatible.

import type { Tensor } from "../../artifacts/tensor.ts";
import type { WeightLocation, Weights } from "../checkpoint/weights.ts";
import type { LowRankBranch } from "./branch.ts";

/**
 * A model's weights together with low-rank branches, in addition to those that the weights already have. The
 * files remain unchanged.
 */
export class AdaptedWeights implements Weights {
  readonly component: string;
  readonly names: readonly string[];
  readonly #base: Weights;
  readonly #branches: ReadonlyMap<string, readonly LowRankBranch[]>;

  /**
   * @param base The model's own weights.
   * @param branches The branches of each module.
   */
  constructor(base: Weights, branches: ReadonlyMap<string, readonly LowRankBranch[]>) {
    this.component = base.component;
    this.names = base.names;
    this.#base = base;
    this.#branches = branches;
  }

  has(name: string): boolean {
    return this.#base.has(name);
  }

  locate(name: string, shape?: readonly number[]): WeightLocation {
    return this.#base.locate(name, shape);
  }

  read(name: string): Promise<Tensor> {
    return this.#base.read(name);
  }

  readElements(name: string, first: number, end: number): Promise<Tensor> {
    return this.#base.readElements(name, first, end);
  }

  branches(module: string): readonly LowRankBranch[] {
    return [...this.#base.branches?.(module) ?? [], ...this.#branches.get(module) ?? []];
  }
}
