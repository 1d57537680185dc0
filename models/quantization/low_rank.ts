// This module is browser compatible.

/**
 * Splits a matrix into a product of two thin matrices and a remainder that 4 bits represent better than the
 * matrix: W ≈ up · down + Q(W - up · down). Source: Li et al., "SVDQuant: Absorbing Outliers by Low-Rank
 * Components for 4-Bit Diffusion Models" (https://arxiv.org/abs/2411.05007), section 4.2. Subspace iteration
 * (Halko et al., https://arxiv.org/abs/0909.4061, algorithm 4.4) finds the directions of the largest singular
 * values. As in LoftQ (Li et al., https://arxiv.org/abs/2310.08659, algorithm 1), further rounds iterate on
 * the matrix without its quantized remainder, so that the product also takes over what rounding loses.
 *
 * Each round passes once over the rows of the matrix, of which only a few are in memory at a time.
 *
 * @module
 */

import { fromFloat16Bits, toFloat16Bits } from "../../artifacts/float16.ts";
import { createGenerator } from "../../random/create_generator.ts";
import { addProduct, scalarProducts } from "./matrix_products.ts";
import { subtractRounded } from "./quantize_rows.ts";

/** A matrix whose rows can be read several times. */
export interface MatrixRows {
  /** Number of rows: outputs of the layer. */
  readonly rows: number;
  /** Number of columns: inputs of the layer. */
  readonly columns: number;
  /** Reads all rows in order, concatenated, some at a time: always a multiple of 4, except for the last. */
  read(): AsyncIterable<Float32Array>;
}

/** A product of two thin matrices. */
export interface LowRankProduct {
  /** Number of columns of `up` and rows of `down`, a multiple of 4. */
  readonly rank: number;
  /** Matrix [rows, rank]. */
  readonly up: Float32Array;
  /** Matrix [rank, columns]. */
  readonly down: Float32Array;
}

/** Number of rounds on the matrix itself. */
const MATRIX_ROUNDS = 2;
/** Number of rounds on the matrix without its quantized remainder. */
const REMAINDER_ROUNDS = 3;
/** Number of rows that are processed at a time, a multiple of 4. They stay in the CPU's cache. */
const STRIP_ROWS = 32;
/** A direction is dropped if others contain all but this fraction of its square. */
const LEAST_SHARE = 1e-9;
/** Seed of the first directions. */
const SEED = 0;

/**
 * Finds the product. The same matrix gives the same product on every machine.
 *
 * @param matrix The matrix.
 * @param rank The product's rank, a multiple of 4.
 * @param block Number of consecutive weights of a row that share a scale in the remainder.
 * @returns The product. Its values are those that float16 represents.
 */
export async function lowRankProduct(
  matrix: MatrixRows,
  rank: number,
  block: number,
): Promise<LowRankProduct> {
  const { rows, columns } = matrix;
  let product: LowRankProduct = {
    rank,
    up: new Float32Array(rows * rank),
    down: createGenerator("torch-cpu", SEED).randn(rank * columns),
  };
  for (let round = 0; round < MATRIX_ROUNDS + REMAINDER_ROUNDS; round++) {
    product = await iterate(matrix, product, round < MATRIX_ROUNDS ? undefined : block);
  }
  balance(product, columns);
  const rounded = (values: Float32Array) => fromFloat16Bits(toFloat16Bits(values));
  return { rank, up: rounded(product.up), down: rounded(product.down) };
}

/**
 * Subtracts rows of a product from the same rows of the matrix.
 *
 * @param values The rows, concatenated.
 * @param first Index of the first of these rows.
 * @param columns Length of a row.
 * @param product The product.
 */
export function subtractProduct(
  values: Float32Array,
  first: number,
  columns: number,
  { rank, up, down }: LowRankProduct,
): void {
  const strip = new Float32Array(STRIP_ROWS * columns);
  const factors = new Float32Array(STRIP_ROWS * rank);
  for (let start = 0, row = first; start < values.length; start += strip.length, row += STRIP_ROWS) {
    const part = values.subarray(start, start + strip.length);
    strip.set(part);
    factors.set(up.subarray(row * rank, row * rank + factors.length));
    for (let at = 0; at < factors.length; at++) factors[at] = -factors[at]!;
    addProduct(strip, STRIP_ROWS, factors, down, rank, columns);
    part.set(strip.subarray(0, part.length));
  }
}

/**
 * Makes a round of subspace iteration: projects the matrix onto the directions `down`, and then onto the
 * orthonormal basis `up` of the result.
 *
 * @param matrix The matrix.
 * @param product The product of the round before.
 * @param block Iterates on the matrix without its remainder from the product, quantized in blocks of this
 *   size. Otherwise iterates on the matrix.
 */
async function iterate(
  matrix: MatrixRows,
  product: LowRankProduct,
  block: number | undefined,
): Promise<LowRankProduct> {
  const { rows, columns } = matrix;
  const { rank } = product;
  const up = new Float32Array(rows * rank);
  const down = new Float32Array(rank * columns);
  const strip = new Float32Array(STRIP_ROWS * columns);
  const projected = new Float32Array(rank * STRIP_ROWS);
  let row = 0;
  for await (const values of matrix.read()) {
    for (let start = 0; start < values.length; start += strip.length) {
      const part = values.subarray(start, start + strip.length);
      strip.fill(0);
      strip.set(part);
      if (block !== undefined) {
        subtractProduct(part, row, columns, product);
        subtractRounded(strip, part, columns, block);
      }
      scalarProducts(strip, STRIP_ROWS, product.down, rank, columns, projected);
      addProduct(down, rank, projected, strip, STRIP_ROWS, columns);
      const count = part.length / columns;
      for (let at = 0; at < count; at++) {
        for (let index = 0; index < rank; index++) {
          up[(row + at) * rank + index] = projected[index * STRIP_ROWS + at]!;
        }
      }
      row += count;
    }
  }
  orthonormalize({ rank, up, down }, columns);
  return { rank, up, down };
}

/**
 * Makes the columns of `up` orthonormal by a Cholesky decomposition, and applies the same operations to the
 * rows of `down`. Columns that depend on others become 0.
 */
function orthonormalize({ rank, up, down }: LowRankProduct, columns: number): void {
  const squares = new Float64Array(rank * rank);
  for (let row = 0; row < up.length; row += rank) {
    for (let a = 0; a < rank; a++) {
      for (let b = a; b < rank; b++) squares[a * rank + b]! += up[row + a]! * up[row + b]!;
    }
  }
  for (let k = 0; k < rank; k++) {
    const whole = squares[k * rank + k]!;
    let pivot = whole;
    for (let l = 0; l < k; l++) pivot -= squares[l * rank + k]! ** 2;
    const isDependent = !(pivot > LEAST_SHARE * whole);
    const length = isDependent ? 0 : Math.sqrt(pivot);
    squares[k * rank + k] = length;
    for (let b = k + 1; b < rank; b++) {
      let sum = squares[k * rank + b]!;
      for (let l = 0; l < k; l++) sum -= squares[l * rank + k]! * squares[l * rank + b]!;
      squares[k * rank + b] = isDependent ? 0 : sum / length;
    }
    const divisor = isDependent ? 0 : 1 / length;
    reduce(up, k, squares, rank, divisor, up.length / rank, 1, rank);
    reduce(down, k, squares, rank, divisor, columns, columns, 1);
  }
}

/**
 * Subtracts the part of a vector that lies in the vectors before it, and scales the rest.
 *
 * @param vectors The vectors.
 * @param k Index of the vector.
 * @param factors Upper triangular factors [rank, rank].
 * @param rank Number of vectors.
 * @param scale Factor of the rest.
 * @param length Length of a vector.
 * @param apart Distance of two vectors.
 * @param stride Distance of two elements of a vector.
 */
function reduce(
  vectors: Float32Array,
  k: number,
  factors: Float64Array,
  rank: number,
  scale: number,
  length: number,
  apart: number,
  stride: number,
): void {
  for (let at = 0; at < length; at++) {
    const place = k * apart + at * stride;
    let value = vectors[place]!;
    for (let l = 0; l < k; l++) value -= factors[l * rank + k]! * vectors[l * apart + at * stride]!;
    vectors[place] = value * scale;
  }
}

/** Gives both vectors of each direction the same length, so that neither leaves the range of float16. */
function balance({ rank, up, down }: LowRankProduct, columns: number): void {
  for (let index = 0; index < rank; index++) {
    const row = down.subarray(index * columns, (index + 1) * columns);
    const scale = Math.sqrt(Math.sqrt(row.reduce((sum, value) => sum + value * value, 0)));
    if (!(scale > 0)) continue;
    for (let at = 0; at < columns; at++) row[at]! /= scale;
    for (let at = index; at < up.length; at += rank) up[at]! *= scale;
  }
}
