// This module is browser compatible.

import { InternalError } from "../../errors/pixstage_error.ts";
import type { BlockLocation, WeightLocation } from "../checkpoint/weights.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";
import { integerLinear } from "./integer_linear.ts";

/** `accuracy_level` of MatMulNBits: products of bytes. */
const INT8_ACTIVATIONS = 4n;

/** `x` [rows, in] times the transpose of a quantized weight [out, in], plus `bias` [out]. The activations are quantized too. */
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

/** The same with weights in blocks; those of the activations are quantized in blocks too. */
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

/** A quantized weight [out, in] in float32, which each run makes anew; only weights of columns can be had so. */
export function dequantized(g: GraphBuilder, { quantized, name }: WeightLocation): Value {
  if (quantized?.layout !== "columns") {
    throw new InternalError(`Cannot dequantize ${name}: it lies in blocks`);
  }
  const { packed, scales } = quantized;
  return g.shared(
    `${name}:dequantized`,
    () => g.transpose(g.op("DequantizeLinear", [g.stored(packed), g.stored(scales)], { axis: 1n }), [1, 0]),
  );
}
