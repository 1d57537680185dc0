// This module is browser compatible.

/**
 * Products with weights that are transposed first, for devices that are slow at products with a transposed
 * matrix, such as WebGPU.
 *
 * In float16, ONNX Runtime's MatMul on WebGPU also accumulates in float16. The error of such a sum grows with
 * the square root of its number of terms: on random values it is 5e-3 relative for 1152 terms, and 1e-2 for
 * 4608. The product is therefore computed in parts, which keeps it at 3.6e-3.
 *
 * @module
 */

import type { WeightLocation } from "../checkpoint/weights.ts";
import type { ComputeType, GraphBuilder, Value } from "./graph_builder.ts";

/** Largest number of terms of a sum in float16: half the width of PixArt-XL. */
const MOST_TERMS = 576;

/**
 * Multiplies rows with a weight. All products with a weight share its transposition, which ONNX Runtime
 * computes when it opens the graph.
 *
 * @param g The graph.
 * @param x Rows [rows, inputs].
 * @param weight The weight [outputs, inputs].
 * @param dtype Type of the rows, the product and the result.
 * @returns Rows [rows, outputs].
 */
export function transposedProduct(
  g: GraphBuilder,
  x: Value,
  weight: WeightLocation,
  dtype: ComputeType,
): Value {
  const matrix = g.shared(
    `${weight.name}:${dtype}:transposed`,
    () => g.transpose(g.weight(weight, dtype), [1, 0]),
  );
  // With Gemm, ONNX Runtime would fuse the transposition back into the product.
  return dtype === "float16" ? float16Product(g, x, matrix, weight.shape[1]!) : g.matMul(x, matrix);
}

/**
 * Multiplies matrices in float16, in parts.
 *
 * @param g The graph.
 * @param x Rows [rows, inputs].
 * @param matrix [inputs, outputs]. If it is constant, so are its parts.
 * @param inputs Number of inputs.
 * @returns Rows [rows, outputs].
 */
export function float16Product(g: GraphBuilder, x: Value, matrix: Value, inputs: number): Value {
  const count = Math.ceil(inputs / MOST_TERMS);
  if (count === 1) return g.matMul(x, matrix);
  const terms = Math.ceil(inputs / count);
  const part = (value: Value, axis: number, first: number): Value =>
    g.shared(`${value.name}:${first}`, () => {
      const end = Math.min(first + terms, inputs);
      return g.op("Slice", [value, g.int64s([first]), g.int64s([end]), g.int64s([axis])]);
    });
  return Array.from({ length: count }, (_, index) => index * terms)
    .map((first) => g.matMul(part(x, 1, first), part(matrix, 0, first)))
    .reduce((sum, product) => g.add(sum, product));
}
