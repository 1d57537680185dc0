// This module is browser compatible.

/**
 * Self-attention whose scores are integer products: 8-bit queries with one scale per head, and 8-bit keys with
 * one scale per head and token, both computed in each run. The softmax, and the products of its weights with
 * the values, stay in float32: 8 bits lose the many small weights.
 *
 * The mean of the keys is subtracted first. It adds the same to all scores of a query, so the softmax does not
 * change, but it can be larger than what distinguishes the keys. Source: Zhang et al., "SageAttention: Accurate
 * 8-Bit Attention for Plug-and-play Inference Acceleration" (https://arxiv.org/abs/2410.02367), section 4.2.
 *
 * @module
 */

import { tensor } from "../../artifacts/tensor.ts";
import { byteProductProbe } from "./byte_product_probe.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";

/** Largest magnitude of an integer. */
const LARGEST = 127;
/** The zero point of unsigned integers. */
const ZERO = 128;
/** Smallest scale, for heads of zeros. */
const LEAST_SCALE = 1e-30;
/**
 * Number of keys that are added and never attended to. Rows of scores whose bytes are a multiple of 4096 share
 * few places in a CPU's cache, which makes the second product up to 1.5 times as slow.
 */
const PADDING = 16;
/** Bias of the scores of padding. */
const NEVER = -1e30;

/** The size of an attention. */
export interface IntegerAttentionOptions {
  /** Number of heads. */
  readonly heads: number;
  /** Number of channels per head. */
  readonly size: number;
  /** Number of parts into which the queries are split, int64 [1]. It must divide their number. */
  readonly parts: Value;
}

/**
 * Adds self-attention with integer scores to a graph. It processes one head and one part of its queries at a
 * time, so few scores are in memory at once.
 *
 * @param g The graph.
 * @param query [tokens, heads · size].
 * @param key [tokens, heads · size].
 * @param value [tokens, heads · size].
 * @param options Heads, and parts of the queries.
 * @returns [tokens, heads · size].
 */
export function integerAttention(
  g: GraphBuilder,
  query: Value,
  key: Value,
  value: Value,
  { heads, size, parts }: IntegerAttentionOptions,
): Value {
  g.multipliesBytes(byteProductProbe());
  const byHead = (rows: Value): Value => g.reshape(rows, [-1, heads, size]);
  const mean = g.op("ReduceMean", [key, g.int64s([0])]);
  const queries = quantized(g, byHead(query), [0, 2], "uint8");
  const keys = quantized(g, byHead(g.op("Sub", [key, mean])), [2], "int8");
  const units = g.mul(g.mul(keys.scales, queries.scales), g.scalar(1 / Math.sqrt(size)));
  const tokens = g.op("Shape", [key], { start: 0n, end: 1n });
  const bias = padded(g, g.op("Expand", [g.scalar(0), tokens]), [PADDING], g.scalar(NEVER));
  const zero = zeroPoint(g, "uint8");

  const attended = g.scan(
    [
      {
        value: g.reshape(
          g.transpose(queries.integers, [1, 0, 2]),
          g.concat([g.int64s([heads]), parts, g.int64s([-1, size])], 0),
        ),
        dtype: "uint8",
        dims: ["parts", "queries", size],
      },
      {
        value: padded(g, g.transpose(keys.integers, [1, 2, 0]), [0, 0, PADDING]),
        dtype: "int8",
        dims: [size, "keys"],
      },
      {
        value: padded(g, g.transpose(units, [1, 2, 0]), [0, 0, PADDING]),
        dtype: "float32",
        dims: [1, "keys"],
      },
      {
        value: padded(g, g.transpose(byHead(value), [1, 0, 2]), [0, PADDING, 0]),
        dtype: "float32",
        dims: ["keys", size],
      },
    ],
    (query, key, units, value) => {
      const scales = g.reshape(units, [-1]);
      return g.scan(
        [{ value: query, dtype: "uint8", dims: ["queries", size] }],
        (part) => {
          const operands = [part, key, g.scalar(1), scales, zero, undefined, bias];
          const scores = g.contrib("MatMulIntegerToFloat", operands);
          return g.matMul(g.op("Softmax", [scores], { axis: -1n }), value);
        },
        ["queries", size],
      );
    },
    ["parts", "queries", size],
  );
  return g.reshape(g.transpose(g.reshape(attended, [heads, -1, size]), [1, 0, 2]), [-1, heads * size]);
}

/** Quantizes values [tokens, heads, size], with one scale for all values along `axes`. */
function quantized(
  g: GraphBuilder,
  values: Value,
  axes: readonly number[],
  dtype: "uint8" | "int8",
): { integers: Value; scales: Value } {
  const along = g.int64s(axes);
  const largest = g.op("Max", [
    g.op("ReduceMax", [values, along]),
    g.op("Neg", [g.op("ReduceMin", [values, along])]),
  ]);
  const scales = g.op("Max", [g.mul(largest, g.scalar(1 / LARGEST)), g.scalar(LEAST_SCALE)]);
  const integers = g.op("QuantizeLinear", [g.op("Div", [values, scales]), g.scalar(1), zeroPoint(g, dtype)]);
  return { integers, scales };
}

/** Returns the integer that represents 0. CPUs multiply unsigned queries with signed keys. */
function zeroPoint(g: GraphBuilder, dtype: "uint8" | "int8"): Value {
  const value = dtype === "uint8"
    ? tensor("uint8", [], Uint8Array.of(ZERO))
    : tensor("int8", [], Int8Array.of(0));
  return g.shared(`zero point:${dtype}`, () => g.constant(value));
}

/** Appends values to the end of each axis; zeros by default. */
function padded(g: GraphBuilder, x: Value, ends: readonly number[], value?: Value): Value {
  return g.op("Pad", [x, g.int64s([...ends.map(() => 0), ...ends]), value]);
}
