// This module is browser compatible.

import type { Tensor } from "../../artifacts/tensor.ts";
import type { WeightLocation, Weights } from "../checkpoint/weights.ts";
import type { LowRankBranch } from "../lora/branch.ts";
import { branchName, packedName, partNames, type QuantizationRecipe, scalesName } from "./recipe.ts";

/** Partly quantized weights, under the names that the model uses. */
export class QuantizedWeights implements Weights {
  readonly component: string;
  readonly names: readonly string[];
  readonly #stored: Weights;
  readonly #recipe: QuantizationRecipe;
  readonly #shapes: ReadonlyMap<string, readonly number[]>;

  /**
   * @param stored The weights as stored, with quantized ones split into values and scales.
   * @param recipe The recipe by which they were quantized.
   * @param shapes Original shapes of the quantized weights.
   */
  constructor(
    stored: Weights,
    recipe: QuantizationRecipe,
    shapes: ReadonlyMap<string, readonly number[]>,
  ) {
    this.component = stored.component;
    this.#stored = stored;
    this.#recipe = recipe;
    this.#shapes = shapes;
    const parts = new Set([...shapes.keys()].flatMap(partNames));
    this.names = [...stored.names.filter((name) => !parts.has(name)), ...shapes.keys()];
  }

  has(name: string): boolean {
    return this.#shapes.has(name) || this.#stored.has(name);
  }

  locate(name: string, shape?: readonly number[]): WeightLocation {
    const own = this.#shapes.get(name);
    if (own === undefined || (shape !== undefined && String(shape) !== String(own))) {
      return this.#stored.locate(name, shape);
    }
    const packed = this.#stored.locate(packedName(name));
    const scales = this.#stored.locate(scalesName(name));
    const parts = partNames(name).filter((part) => this.#stored.has(part)).map((part) =>
      this.#stored.locate(part)
    );
    const { layout } = this.#recipe;
    return {
      ...packed,
      name,
      shape: own,
      length: parts.reduce((sum, { length }) => sum + length, 0),
      quantized: layout === "columns" ? { layout, packed, scales } : {
        layout,
        bits: this.#recipe.bits,
        block: this.#recipe.block,
        activationBits: this.#recipe.activationBits,
        packed,
        scales,
      },
    };
  }

  read(name: string): Promise<Tensor> {
    return this.#stored.read(name);
  }

  readElements(name: string, first: number, end: number): Promise<Tensor> {
    return this.#stored.readElements(name, first, end);
  }

  branches(module: string): readonly LowRankBranch[] {
    const name = `${module}.weight`;
    if (!this.#stored.has(branchName(name, "down"))) return [];
    const [up, down] = (["up", "down"] as const).map((part) => this.#stored.locate(branchName(name, part)));
    return [{ up: up!, down: down!, scale: 1 }];
  }
}
