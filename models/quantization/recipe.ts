// This module is browser compatible.

/**
 * How weights are quantized: which ones, into how many bits, in blocks of which length.
 *
 * @module
 */

import { listArchitectures } from "../architectures.ts";

/** How matrices are quantized. */
export interface QuantizationRecipe {
  /** Its name in file names and options. */
  readonly name: "int8" | "int4";
  /** Bits of a weight. */
  readonly bits: 8 | 4;
  /** Weights of a row that share a scale. */
  readonly block: number;
}

/**
 * The recipes. int8 in blocks of 128 is 0.3 % off in a product, int4 in blocks of 32 is 6 % off; smaller blocks of int8
 * gain nothing, as its error is small already.
 */
export const RECIPES: Readonly<Record<QuantizationRecipe["name"], QuantizationRecipe>> = {
  int8: { name: "int8", bits: 8, block: 128 },
  int4: { name: "int4", bits: 4, block: 32 },
};

/** Changes whenever the same weights would be quantized otherwise. */
export const QUANTIZER_VERSION = 1;

/**
 * Whether a weight is quantized: a matrix that some architecture names. Norms, embeddings, biases, modulation and the last
 * projection are not.
 */
export function isQuantized(name: string, shape: readonly number[]): boolean {
  return shape.length === 2 && listArchitectures().some((architecture) => architecture.isQuantizable?.(name));
}

/** Name of a quantized weight's values. */
export function packedName(name: string): string {
  return `${name}.packed`;
}

/** Name of a quantized weight's scales. */
export function scalesName(name: string): string {
  return `${name}.scales`;
}

/** Shapes of a quantized weight [rows, columns]: values [rows, blocks, bytes], scales [rows, blocks]. */
export function quantizedShapes(
  [rows = 0, columns = 0]: readonly number[],
  { bits, block }: QuantizationRecipe,
): { readonly packed: readonly number[]; readonly scales: readonly number[] } {
  const blocks = Math.ceil(columns / block);
  return { packed: [rows, blocks, block * bits / 8], scales: [rows, blocks] };
}
