// This module is browser compatible.

/**
 * Products with weights that are transposed first, for devices that are slow at products with a transposed
 * matrix, such as WebGPU.
 *
 * @module
 */

import type { WeightLocation } from "../checkpoint/weights.ts";
import type { ComputeType, GraphBuilder, Value } from "./graph_builder.ts";

/**
 * Multiplies rows with a weight, and adds a bias. All products with a weight share its transposition, which
 * ONNX Runtime computes when it opens the graph.
 *
 * If the weight stays in another type than the rows, it is cast in each run.
 *
 * @param g The graph.
 * @param x Rows [rows, inputs].
 * @param weight The weight [outputs, inputs].
 * @param bias The bias [outputs].
 * @param dtype Type of the rows, the product and the result.
 * @param stored Type in which the weight stays in memory.
 * @returns Rows [rows, outputs].
 */
export function transposedProduct(
  g: GraphBuilder,
  x: Value,
  weight: WeightLocation,
  bias: Value | undefined,
  dtype: ComputeType,
  stored: ComputeType = dtype,
): Value {
  const [outputs = 0, inputs = 0] = weight.shape;
  const matrix = g.shared(
    `${weight.name}:${stored}:transposed`,
    () => g.transpose(g.weight(weight, stored), [1, 0]),
  );
  if (stored === dtype) {
    // With Gemm, ONNX Runtime would fuse the transposition back into the product.
    const product = g.matMul(x, matrix);
    return bias ? g.add(product, bias) : product;
  }
  return g.op("Gemm", [x, castInRun(g, matrix, x, [inputs, outputs], dtype), bias]);
}

/**
 * Casts a constant in each run. A constant cast would be computed when the graph opens, and its result would
 * stay in memory.
 *
 * @param g The graph.
 * @param constant The constant.
 * @param x A value that depends on the inputs.
 * @param shape The constant's shape.
 * @param dtype The type to cast to.
 */
export function castInRun(
  g: GraphBuilder,
  constant: Value,
  x: Value,
  shape: readonly number[],
  dtype: ComputeType,
): Value {
  return g.cast(notConstant(g, constant, x, shape), dtype);
}

/**
 * Returns a constant in a form that ONNX Runtime does not take for one: reshaped to its own shape, to which it
 * adds 0 times the number of rows of an input.
 */
function notConstant(g: GraphBuilder, constant: Value, x: Value, shape: readonly number[]): Value {
  const nothing = g.shared(`${x.name}:nothing`, () => {
    return g.mul(g.op("Shape", [x], { start: 0n, end: 1n }), g.int64s([0]));
  });
  const same = g.shared(`${x.name}:${shape}`, () => g.add(g.int64s(shape), nothing));
  return g.reshape(constant, same);
}
