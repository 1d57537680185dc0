// This module is browser compatible.

/**
 * Activations as bytes for integer products. CPUs multiply unsigned bytes with signed ones, so the left factor
 * is unsigned, with a zero point above 0.
 *
 * @module
 */

import { tensor } from "../../artifacts/tensor.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";

/** Largest distance of an integer from its zero point. */
const LARGEST = 127;
/** Largest unsigned byte. */
const LARGEST_UNSIGNED = 255;
/** Zero point of unsigned bytes, unless values are mostly positive. */
const UNSIGNED_ZERO = 128;
/** A slice end beyond the last row. */
const END = 2 ** 31 - 1;
/** Approximate number of rows that are averaged for a mean. */
const MEAN_ROWS = 64;
/** Smallest scale, for zeros. */
const LEAST_SCALE = 1e-30;

/** The type of bytes: unsigned for the left factor of a product, signed for the right one. */
export type ByteType = "uint8" | "int8";

/**
 * Returns the scales with which values fit into bytes: one for all values along `axes`, which keep size 1.
 *
 * @param g The graph.
 * @param values The values.
 * @param axes Axes whose values share a scale.
 * @param zero The byte that represents 0, if bytes are unsigned.
 */
export function byteScales(g: GraphBuilder, values: Value, axes: readonly number[], zero?: number): Value {
  const along = g.int64s(axes);
  const reduced = (type: string): Value => g.op(type, [values, along], { keepdims: 0n });
  const up = zero === undefined ? LARGEST : LARGEST_UNSIGNED - zero;
  const positive = g.mul(reduced("ReduceMax"), g.scalar(1 / up));
  const negative = g.mul(reduced("ReduceMin"), g.scalar(-1 / (zero ?? LARGEST)));
  // Axes of size 1 at the end would make ONNX Runtime compute these element by element.
  return g.op("Unsqueeze", [g.op("Max", [positive, negative, g.scalar(LEAST_SCALE)]), along]);
}

/** Scales values to bytes, and rounds them. */
export function toBytes(
  g: GraphBuilder,
  values: Value,
  scales: Value,
  dtype: ByteType,
  zero?: number,
): Value {
  // QuantizeLinear with several scales would divide as well, but it runs on one thread.
  const scaled = g.mul(values, g.op("Reciprocal", [scales]));
  return g.op("QuantizeLinear", [scaled, g.scalar(1), zeroPoint(g, dtype, zero)]);
}

/** Returns about `count` rows (int64 [1]) at equal distances, or all of fewer than twice as many. */
export function sampledRows(g: GraphBuilder, rows: Value, count: Value): Value {
  const all = g.op("Shape", [rows], { start: 0n, end: 1n });
  const step = g.op("Max", [g.op("Div", [all, count]), g.int64s([1])]);
  return g.op("Slice", [rows, g.int64s([0]), g.int64s([END]), g.int64s([0]), step]);
}

/** Averages a sample of rows [rows, channels] to [1, channels]. */
export function sampledMean(g: GraphBuilder, rows: Value): Value {
  return g.op("ReduceMean", [sampledRows(g, rows, g.int64s([MEAN_ROWS])), g.int64s([0])]);
}

/** Returns the byte that represents 0; in the middle by default. */
export function zeroPoint(
  g: GraphBuilder,
  dtype: ByteType,
  zero = dtype === "uint8" ? UNSIGNED_ZERO : 0,
): Value {
  const value = dtype === "uint8"
    ? tensor("uint8", [], Uint8Array.of(zero))
    : tensor("int8", [], Int8Array.of(zero));
  return g.shared(`zero point:${dtype}:${zero}`, () => g.constant(value));
}

/** Appends values to the end of each axis, if there is anything to append; zeros by default. */
export function padded(g: GraphBuilder, x: Value, ends: readonly number[], value?: Value): Value {
  if (ends.every((end) => end === 0)) return x;
  return g.op("Pad", [x, g.int64s([...ends.map(() => 0), ...ends]), value]);
}
