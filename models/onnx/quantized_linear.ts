// This module is browser compatible.

import { InternalError } from "../../errors/pixstage_error.ts";
import type { BlockLocation, WeightLocation } from "../checkpoint/weights.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";
import { integerLinear, type IntegerLinearOptions } from "./integer_linear.ts";

/** `accuracy_level` of MatMulNBits that selects 8-bit integer products. */
const INT8_ACTIVATIONS = 4n;
/** Largest magnitude of an activation in 8 bits. */
const LARGEST_BYTE = 127;
/** Smallest distance of two values of a block, for blocks of zeros. */
const LEAST_UNIT = 1e-30;

/**
 * Multiplies `x` [rows, in] with the transpose of a quantized weight [out, in], adds the bias, and multiplies by
 * the gate. The activations are quantized too.
 */
export function quantizedLinear(
  g: GraphBuilder,
  x: Value,
  { quantized, shape }: WeightLocation & Required<Pick<WeightLocation, "quantized">>,
  options: IntegerLinearOptions = {},
): Value {
  g.prepareWeights();
  if (quantized.layout === "columns") return integerLinear(g, x, quantized, shape, options);
  const { bias, gate } = options;
  const y = blockLinear(g, x, quantized, shape, bias);
  return gate ? g.mul(y, gate) : y;
}

/** Adds a linear layer whose weights are quantized in blocks. The activations are quantized in blocks too. */
function blockLinear(
  g: GraphBuilder,
  x: Value,
  { bits, block, activationBits, packed, scales }: BlockLocation,
  [rows = 0, columns = 0]: readonly number[],
  bias?: Value,
): Value {
  const isSplit = activationBits === 16;
  const factors = isSplit ? g.shared(`${x.name}:bytes`, () => byteParts(g, x, columns, block)) : x;
  const products = g.contrib("MatMulNBits", [factors, g.stored(packed), g.stored(scales)], {
    K: BigInt(columns),
    N: BigInt(rows),
    bits: BigInt(bits),
    block_size: BigInt(block),
    accuracy_level: INT8_ACTIVATIONS,
  });
  const [high, low] = isSplit ? g.splitEvenly(products, 0, 2) : [products];
  const product = low ? g.add(high!, low) : high!;
  return bias ? g.add(product, bias) : product;
}

/**
 * Splits activations [rows, in] into two parts of 8 bits each, one below the other, [2 · rows, in]. Their
 * products with the same weights add up to those of activations with 16 bits. The upper part consists of the
 * values to which ONNX Runtime rounds the activations in blocks, so that it rounds only the lower part again.
 */
function byteParts(g: GraphBuilder, x: Value, columns: number, block: number): Value {
  const blocks = Math.ceil(columns / block);
  const missing = blocks * block - columns;
  const padded = missing === 0 ? x : g.op("Pad", [x, g.int64s([0, 0, 0, missing])]);
  const rows = g.reshape(padded, [-1, blocks, block]);
  const largest = g.op("ReduceMax", [g.op("Abs", [rows]), g.int64s([2])], { keepdims: 1n });
  const unit = g.op("Max", [g.mul(largest, g.scalar(1 / LARGEST_BYTE)), g.scalar(LEAST_UNIT)]);
  const high = g.mul(g.op("Round", [g.op("Div", [rows, unit])]), unit);
  const parts = g.reshape(g.concat([high, g.op("Sub", [rows, high])], 0), [-1, blocks * block]);
  return missing === 0 ? parts : g.op("Slice", [parts, g.int64s([0]), g.int64s([columns]), g.int64s([1])]);
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
