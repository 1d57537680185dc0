// This module is browser compatible.

/**
 * Activations as bytes for integer products. CPUs multiply unsigned bytes with signed ones, so the left factor
 * is unsigned, with a zero point in the middle.
 *
 * @module
 */

import { tensor } from "../../artifacts/tensor.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";

/** Largest distance of an integer from its zero point. */
const LARGEST = 127;
/** Zero point of unsigned bytes. */
const UNSIGNED_ZERO = 128;
/** A slice end beyond the last row. */
const END = 2 ** 31 - 1;
/** Smallest scale, for zeros. */
const LEAST_SCALE = 1e-30;

/** The type of bytes: unsigned for the left factor of a product, signed for the right one. */
export type ByteType = "uint8" | "int8";

/** Returns the scales with which values fit into bytes: one for all values along `axes`, which keep size 1. */
export function byteScales(g: GraphBuilder, values: Value, axes: readonly number[]): Value {
  const along = g.int64s(axes);
  const largest = g.op("Max", [
    g.op("ReduceMax", [values, along]),
    g.op("Neg", [g.op("ReduceMin", [values, along])]),
  ]);
  return g.op("Max", [g.mul(largest, g.scalar(1 / LARGEST)), g.scalar(LEAST_SCALE)]);
}

/** Divides values by their scales, and rounds them to bytes. */
export function toBytes(g: GraphBuilder, values: Value, scales: Value, dtype: ByteType): Value {
  // QuantizeLinear with several scales would divide as well, but it runs on one thread.
  return g.op("QuantizeLinear", [g.op("Div", [values, scales]), g.scalar(1), zeroPoint(g, dtype)]);
}

/** Returns about `count` rows at equal distances, or all of fewer than twice as many. */
export function sampledRows(g: GraphBuilder, rows: Value, count: number): Value {
  const all = g.op("Shape", [rows], { start: 0n, end: 1n });
  const step = g.op("Max", [g.op("Div", [all, g.int64s([count])]), g.int64s([1])]);
  return g.op("Slice", [rows, g.int64s([0]), g.int64s([END]), g.int64s([0]), step]);
}

/** Returns the byte that represents 0. */
export function zeroPoint(g: GraphBuilder, dtype: ByteType): Value {
  const value = dtype === "uint8"
    ? tensor("uint8", [], Uint8Array.of(UNSIGNED_ZERO))
    : tensor("int8", [], Int8Array.of(0));
  return g.shared(`zero point:${dtype}`, () => g.constant(value));
}
