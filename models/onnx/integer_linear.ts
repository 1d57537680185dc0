// This module is browser compatible.

/**
 * A linear layer as a product of integers: weights of 8 bits with a scale for each output, activations of 8 bits with a
 * scale for each row, found at each run.
 *
 * Few input channels of transformers are tens of times as large as all others, and a scale that holds them leaves little of
 * the others. So the channels that are largest in this input are left out of the scale of its rows. What the integers of
 * these channels miss, as they are cut off, is multiplied in float32: a product of few columns, which adds the bias too.
 * Dettmers et al., "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale" (https://arxiv.org/abs/2208.07339),
 * section 3.2.
 *
 * @module
 */

import { tensor } from "../../artifacts/tensor.ts";
import type { ColumnLocation } from "../checkpoint/weights.ts";
import { byteProductProbe } from "./byte_product_probe.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";

/** The most channels that are left out of the scales; as many as make a row of small vector products. */
const MOST_OUTLIERS = 32;
/** At most one channel of so many is left out. */
const CHANNELS_PER_OUTLIER = 8;
/** The largest integer of an activation, either side of {@linkcode ZERO}. */
const LARGEST = 127;
/** The unsigned integer that stands for 0: processors multiply unsigned activations with signed weights. */
const ZERO = 128;
/** The least scale, for rows of zeros. */
const LEAST_SCALE = 1e-30;
/** About so many rows tell which channels are large. */
const SAMPLED_ROWS = 128;
/** Past the last row. */
const END = 2 ** 31 - 1;

/** Activations of 8 bits, which all layers share that take them. */
interface IntegerRows {
  /** Unsigned integers [rows, in]. */
  readonly integers: Value;
  /** What one unit of each row is worth, [rows, 1]. */
  readonly scales: Value;
  /** The channels that are left out of the scales, int64 [outliers]. */
  readonly outliers: Value;
  /** What the integers of these channels miss, and a column of 1 for the bias, [rows, outliers + 1]. */
  readonly rest: Value;
}

/**
 * Adds the layer to a graph.
 *
 * @param g The graph.
 * @param x Rows [rows, in].
 * @param weight The weight.
 * @param shape Its shape, [out, in].
 * @param bias The bias [out].
 * @returns Rows [rows, out].
 */
export function integerLinear(
  g: GraphBuilder,
  x: Value,
  { packed, scales }: ColumnLocation,
  [outputs = 0, inputs = 0]: readonly number[],
  bias?: Value,
): Value {
  const rows = integerRows(g, x, inputs);
  const values = g.stored(packed);
  const units = g.stored(scales);
  const product = g.multiplyBytes(rows.integers, zero(g), values, units, byteProductProbe());
  const large = g.mul(g.cast(g.op("Gather", [values, rows.outliers]), "float32"), units);
  const added = bias
    ? g.reshape(bias, [1, outputs])
    : g.shared(`zeros:${outputs}`, () => filled(g, [1, outputs], 0));
  return g.op("Gemm", [rows.rest, g.concat([large, added], 0), g.mul(product, rows.scales)]);
}

/** Quantizes rows [rows, in]. */
function integerRows(g: GraphBuilder, x: Value, inputs: number): IntegerRows {
  const part = (name: string, make: () => Value): Value => g.shared(`${x.name}:${name}`, make);
  const count = Math.max(1, Math.min(MOST_OUTLIERS, Math.floor(inputs / CHANNELS_PER_OUTLIER)));
  const outliers = part("outliers", () => g.largest(channelSizes(g, x), count));
  const scales = part("row scales", () => {
    const ones = g.shared(`ones:${inputs}`, () => filled(g, [inputs], 1));
    const zeros = g.shared(`zeros:${count}`, () => filled(g, [count], 0));
    const others = g.mul(x, g.op("ScatterElements", [ones, outliers, zeros], { axis: 0n }));
    const largest = g.op("ReduceMax", [g.op("Abs", [others]), g.int64s([1])]);
    return g.op("Max", [g.mul(largest, g.scalar(1 / LARGEST)), g.scalar(LEAST_SCALE)]);
  });
  const integers = part("integers", () => {
    const vector = g.reshape(scales, [-1]);
    const zeros = g.op("Expand", [zero(g), g.op("Shape", [vector])]);
    return g.op("QuantizeLinear", [x, vector, zeros], { axis: 0n });
  });
  const rest = part("rest", () => {
    const chosen = (rows: Value) => g.op("Gather", [rows, outliers], { axis: 1n });
    const signed = g.add(g.cast(chosen(integers), "float32"), g.scalar(-ZERO));
    const missed = g.op("Sub", [chosen(x), g.mul(signed, scales)]);
    return g.concat([missed, g.op("Expand", [g.scalar(1), g.op("Shape", [scales])])], 1);
  });
  return { integers, scales, outliers, rest };
}

/** The largest magnitude of each channel, [in], among some rows. */
function channelSizes(g: GraphBuilder, x: Value): Value {
  const rows = g.op("Shape", [x], { start: 0n, end: 1n });
  const step = g.op("Max", [g.op("Div", [rows, g.int64s([SAMPLED_ROWS])]), g.int64s([1])]);
  const sample = g.op("Slice", [x, g.int64s([0]), g.int64s([END]), g.int64s([0]), step]);
  return g.op("ReduceMax", [g.op("Abs", [sample]), g.int64s([0])], { keepdims: 0n });
}

/** The integer that stands for 0. */
function zero(g: GraphBuilder): Value {
  return g.shared("integer zero", () => g.constant(tensor("uint8", [], Uint8Array.of(ZERO))));
}

function filled(g: GraphBuilder, shape: readonly number[], value: number): Value {
  const length = shape.reduce((product, size) => product * size, 1);
  return g.constant(tensor("float32", shape, new Float32Array(length).fill(value)));
}
