// This module is browser compatible.

/**
 * A linear layer as an integer product: 8-bit weights with one scale per output, and 8-bit activations with
 * one scale per row, computed in each run.
 *
 * A few input channels of transformers are tens of times as large as all others. A scale that covers them
 * leaves little precision for the rest. Channels of the input that stand out are therefore 0 in the integer
 * product, and a float32 product with few columns adds them and the bias. Source: Dettmers et al.,
 * "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale" (https://arxiv.org/abs/2208.07339),
 * section 3.2.
 *
 * @module
 */

import type { DType } from "../../artifacts/dtype.ts";
import { tensor } from "../../artifacts/tensor.ts";
import type { ColumnLocation } from "../checkpoint/weights.ts";
import { byteProductProbe } from "./byte_product_probe.ts";
import { byteScales, sampledRows, toBytes, zeroPoint } from "./byte_values.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";
import type { Dimension, ScanInput } from "./graph_parts.ts";

/** Maximum number of outlier channels. */
const MOST_OUTLIERS = 32;
/** At most one in this many channels is an outlier. */
const CHANNELS_PER_OUTLIER = 8;
/**
 * An outlier is more than this many times as large as the largest channel after the most outliers. A smaller
 * channel costs less precision in the integer product than time in the float32 product.
 */
const OUTLIER_RATIO = 1.25;
/** Approximate number of a picture's rows that are sampled to find the outlier channels. */
const SAMPLED_ROWS = 128;
/** Approximate number of rows sampled in each part of a picture, if its share of them is smaller. */
const LEAST_SAMPLED_ROWS = 32;

/**
 * The byte that represents 0 in rows that come from GELU. Their least value is -0.17, so few bytes below it are
 * needed.
 */
const GELU_ZERO = 24;

/** Options of {@linkcode integerLinear}. */
export interface IntegerLinearOptions {
  /** The bias [out]. */
  readonly bias?: Value | undefined;
  /** What the result is multiplied by, [out]. */
  readonly gate?: Value | undefined;
  /**
   * Whether the rows come from GELU.
   *
   * @default {false}
   */
  readonly afterGelu?: boolean | undefined;
  /** Number of equal parts of a picture, int64 [1], if the rows are one of them. */
  readonly parts?: Value | undefined;
}

/** 8-bit activations, shared by all layers with the same input. */
interface IntegerRows {
  /** Unsigned integers [rows, in]. */
  readonly integers: Value;
  /** Scale of each row, [rows, 1]. */
  readonly scales: Value;
  /** Indices of the outlier channels, int64 [outliers]. */
  readonly outliers: Value;
  /** The outlier channels, and a column of ones for the bias, [rows, outliers + 1]. */
  readonly rest: Value;
}

/** A matrix of bytes. */
export interface ByteMatrix {
  /** Signed integers [in, out]. */
  readonly integers: Value;
  /** Scale of each column, [out]. */
  readonly scales: Value;
}

/**
 * Adds a linear layer with integer products to a graph.
 *
 * @param g The graph.
 * @param x Rows [rows, in].
 * @param weight The weight.
 * @param shape Its shape, [out, in].
 * @param options Bias, gate, and what is known of the rows.
 * @returns Rows [rows, out].
 */
export function integerLinear(
  g: GraphBuilder,
  x: Value,
  { packed, scales }: ColumnLocation,
  [, inputs = 0]: readonly number[],
  options: IntegerLinearOptions,
): Value {
  return integerProduct(g, x, { integers: g.stored(packed), scales: g.stored(scales) }, inputs, options);
}

/**
 * Multiplies rows with a matrix of bytes.
 *
 * @param g The graph.
 * @param x Rows [rows, in].
 * @param matrix The matrix.
 * @param inputs Its number of rows.
 * @param options Bias, gate, and what is known of the rows.
 * @returns Rows [rows, out].
 */
export function integerProduct(
  g: GraphBuilder,
  x: Value,
  { integers, scales }: ByteMatrix,
  inputs: number,
  { bias, gate, afterGelu = false, parts }: IntegerLinearOptions,
): Value {
  const gated = (x: Value): Value => gate ? g.mul(x, gate) : x;
  const zero = afterGelu ? GELU_ZERO : undefined;
  const rows = integerRows(g, x, inputs, { zero, parts });
  const units = gated(scales);
  g.multipliesBytes(byteProductProbe());
  const product = g.contrib("MatMulIntegerToFloat", [
    rows.integers,
    integers,
    g.scalar(1),
    units,
    zeroPoint(g, "uint8", zero),
  ]);
  const large = g.mul(g.cast(g.op("Gather", [integers, rows.outliers]), "float32"), units);
  const added = bias ? gated(bias) : g.mul(scales, g.scalar(0));
  const rest = g.concat([large, g.reshape(added, [1, -1])], 0);
  // Gemm would add the two as well, but it first copies its third input on one thread.
  return g.add(g.mul(product, rows.scales), g.matMul(rows.rest, rest));
}

/** Rows that are quantized before a loop processes them in parts. */
export interface IntegerRowsInParts {
  /** Inputs of the loop beside the rows. */
  readonly inputs: readonly ScanInput[];
  /** Gives the slices of the inputs to the linear layers whose rows are a part. */
  assign(part: Value, slices: readonly Value[]): void;
}

/**
 * Quantizes rows for linear layers in a loop over parts of them. The outlier channels are those of all rows.
 *
 * @param g The graph.
 * @param x Rows [rows, in].
 * @param inputs Their number of channels.
 * @param parts Number of equal parts, int64 [1].
 */
export function integerRowsInParts(
  g: GraphBuilder,
  x: Value,
  inputs: number,
  parts: Value,
): IntegerRowsInParts {
  const { integers, scales, rest, outliers } = integerRows(g, x, inputs);
  const inParts = (value: Value, dtype: DType, columns: Dimension, rows = "part_rows"): ScanInput => ({
    value: g.reshape(
      value,
      g.concat([parts, g.int64s([-1]), g.op("Shape", [value], { start: 1n })], 0),
    ),
    dtype,
    dims: [rows, columns],
  });
  return {
    inputs: [
      inParts(integers, "uint8", inputs),
      inParts(scales, "float32", 1),
      // If both numbers of rows had one name, ONNX Runtime would fuse the product of these columns and the sum
      // that integerProduct() adds it to into a Gemm, which copies on one thread.
      inParts(rest, "float32", "rest_columns", "rest_rows"),
    ],
    assign(part, slices) {
      for (const [index, name] of ["integers", "scales", "rest"].entries()) {
        g.shared(`${part.name}:${name}`, () => slices[index]!);
      }
      g.shared(`${part.name}:outliers`, () => outliers);
    },
  };
}

/** Quantizes rows [rows, in]. Layers with the same input share the result. */
function integerRows(
  g: GraphBuilder,
  x: Value,
  inputs: number,
  { zero, parts }: { readonly zero?: number | undefined; readonly parts?: Value | undefined } = {},
): IntegerRows {
  const shared = (name: string, make: () => Value): Value => g.shared(`${x.name}:${name}`, make);
  const outliers = shared("outliers", () => largeChannels(g, channelSizes(g, x, parts), inputs));
  const others = () =>
    shared("others", () => {
      const ones = g.shared(`ones:${inputs}`, () => filled(g, [inputs], 1));
      const zeros = g.op("Expand", [g.scalar(0), g.op("Shape", [outliers])]);
      // Products with 0 and 1 are a pass over the rows, but it takes less time than scattering zeros into them.
      return g.mul(x, g.op("ScatterElements", [ones, outliers, zeros]));
    });
  const scales = shared("scales", () => byteScales(g, others(), [1], zero));
  const integers = shared("integers", () => toBytes(g, others(), scales, "uint8", zero));
  const rest = shared("rest", () => {
    const rows = g.op("Shape", [x], { start: 0n, end: 1n });
    const columns = g.op("Expand", [outliers, g.concat([rows, g.op("Shape", [outliers])], 0)]);
    // Gather along the last axis copies each element by itself, on one thread.
    const large = g.op("GatherElements", [x, columns], { axis: 1n });
    return g.concat([large, g.op("Expand", [g.scalar(1), g.op("Shape", [scales])])], 1);
  });
  return { integers, scales, outliers, rest };
}

/** Returns the indices of the outlier channels, at least one, int64 [outliers]. */
function largeChannels(g: GraphBuilder, sizes: Value, inputs: number): Value {
  const most = Math.max(1, Math.min(MOST_OUTLIERS, Math.floor(inputs / CHANNELS_PER_OUTLIER)));
  const { values, indices } = g.largest(sizes, most + 1);
  const ordinary = g.op("Slice", [values, g.int64s([most]), g.int64s([most + 1])]);
  const isLarge = g.op("Greater", [values, g.mul(ordinary, g.scalar(OUTLIER_RATIO))]);
  const count = g.op("ReduceSum", [g.cast(isLarge, "int64"), g.int64s([0])]);
  return g.op("Slice", [indices, g.int64s([0]), g.op("Max", [count, g.int64s([1])])]);
}

/** Computes the largest magnitude of each channel, [in], over a sample of the rows. */
function channelSizes(g: GraphBuilder, x: Value, parts: Value | undefined): Value {
  const all = g.int64s([SAMPLED_ROWS]);
  const count = parts ? g.op("Max", [g.op("Div", [all, parts]), g.int64s([LEAST_SAMPLED_ROWS])]) : all;
  return g.op("ReduceMax", [g.op("Abs", [sampledRows(g, x, count)]), g.int64s([0])], { keepdims: 0n });
}

function filled(g: GraphBuilder, shape: readonly number[], value: number): Value {
  const length = shape.reduce((product, size) => product * size, 1);
  return g.constant(tensor("float32", shape, new Float32Array(length).fill(value)));
}
