// This module is browser compatible.

import { InternalError } from "../../errors/pixstage_error.ts";
import type { BlockLocation, WeightLocation } from "../checkpoint/weights.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";
import { integerLinear } from "./integer_linear.ts";

/** `accuracy_level` of MatMulNBits that selects 8-bit integer products. */
const INT8_ACTIVATIONS = 4n;

/**
 * Multiplies `x` [rows, in] with the transpose of a quantized weight [out, in], and adds `bias` [out]. The
 * activations are quantized too.
 */
export function quantizedLinear(
  g: GraphBuilder,
  x: Value,
  { quantized, shape }: WeightLocation & Required<Pick<WeightLocation, "quantized">>,
  bias?: Value,
): Value {
  g.prepareWeights();
  return quantized.layout === "columns"
    ? integerLinear(g, x, quantized, shape, bias)
    : blockLinear(g, x, quantized, shape, bias);
}

/** Adds a linear layer whose weights are quantized in blocks. The activations are quantized in blocks too. */
function blockLinear(
  g: GraphBuilder,
  x: Value,
  { bits, block, packed, scales }: BlockLocation,
  [rows = 0, columns = 0]: readonly number[],
  bias?: Value,
): Value {
  const product = g.contrib("MatMulNBits", [x, g.stored(packed), g.stored(scales)], {
    K: BigInt(columns),
    N: BigInt(rows),
    bits: BigInt(bits),
    block_size: BigInt(block),
    accuracy_level: INT8_ACTIVATIONS,
  });
  return bias ? g.add(product, bias) : product;
}

/** A matrix with separate row scales. */
export interface ScaledMatrix {
  /** Values [out, in], float32. */
  readonly values: Value;
  /** Scale of each row, [out]; absent if all are 1. */
  readonly scales?: Value;
}

/**
 * Returns the integers of a quantized weight [out, in] as float32, and their scales separately. Each run
 * converts the integers, without the cost of multiplying them. Only the layout `columns` supports this.
 */
export function scaledMatrix(g: GraphBuilder, { quantized, name }: WeightLocation): Required<ScaledMatrix> {
  if (quantized?.layout !== "columns") {
    throw new InternalError(`Cannot read the integers of ${name}: it is not quantized in columns`);
  }
  const { packed, scales } = quantized;
  const values = g.shared(`${name}:values`, () => g.transpose(g.cast(g.stored(packed), "float32"), [1, 0]));
  return { values, scales: g.stored(scales) };
}

/** Dequantizes a weight [out, in] to float32 in each run. */
export function dequantized(g: GraphBuilder, location: WeightLocation): Value {
  const { values, scales } = scaledMatrix(g, location);
  return g.mul(values, g.reshape(scales, [-1, 1]));
}
