// This module is browser compatible.

/**
 * Products in float16 on devices that also accumulate in float16, as ONNX Runtime's MatMul on WebGPU does. The
 * error of such a sum grows with the square root of its number of terms: on random values it is 5e-3 relative
 * for 1152 terms, and 1e-2 for 4608. The product is therefore computed in parts, which keeps it at 3.6e-3.
 *
 * @module
 */

import type { GraphBuilder, Value } from "./graph_builder.ts";

/** Largest number of terms of a sum: half the width of PixArt-XL. */
const MOST_TERMS = 576;

/**
 * Multiplies matrices in float16.
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
