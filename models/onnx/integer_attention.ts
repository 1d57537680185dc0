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

import { byteProductProbe } from "./byte_product_probe.ts";
import { byteScales, toBytes, zeroPoint } from "./byte_values.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";

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
  /** Number of groups into which the heads are split, int64 [1]. It must divide their number. */
  readonly groups: Value;
  /** Number of parts into which the queries are split, int64 [1]. It must divide their number. */
  readonly parts: Value;
}

/**
 * Adds self-attention with integer scores to a graph. It processes one group of heads and one part of their
 * queries at a time, so few scores are in memory at once. If a group has a head for each thread, threads need
 * not exchange scores, which takes long if they share no cache.
 *
 * @param g The graph.
 * @param query [tokens, heads · size].
 * @param key [tokens, heads · size].
 * @param value [tokens, heads · size].
 * @param options Heads, groups of heads, and parts of the queries.
 * @returns [tokens, heads · size].
 */
export function integerAttention(
  g: GraphBuilder,
  query: Value,
  key: Value,
  value: Value,
  { heads, size, groups, parts }: IntegerAttentionOptions,
): Value {
  g.multipliesBytes(byteProductProbe());
  const byHead = (rows: Value): Value => g.reshape(rows, [-1, heads, size]);
  const mean = g.op("ReduceMean", [key, g.int64s([0])]);
  const queries = byHead(query);
  const queryScales = byteScales(g, queries, [0, 2]);
  const queryBytes = toBytes(g, queries, queryScales, "uint8");
  const keys = byHead(g.op("Sub", [key, mean]));
  const keyScales = byteScales(g, keys, [2]);
  const keyBytes = toBytes(g, keys, keyScales, "int8");
  const units = g.mul(g.mul(keyScales, queryScales), g.scalar(1 / Math.sqrt(size)));
  const tokens = g.op("Shape", [key], { start: 0n, end: 1n });
  const bias = padded(g, g.op("Expand", [g.scalar(0), tokens]), [PADDING], g.scalar(NEVER));
  const keyCount = g.add(tokens, g.int64s([PADDING]));
  const zero = zeroPoint(g, "uint8");

  const rest = g.int64s([-1]);
  const sizes = g.int64s([size]);
  const inGroups = (byHead: Value, ...shape: Value[]): Value =>
    g.reshape(byHead, g.concat([groups, rest, ...shape], 0));
  const inParts = g.concat([parts, g.op("Div", [tokens, parts]), groups, rest, sizes], 0);
  const scanned = [
    {
      value: g.transpose(g.reshape(queryBytes, inParts), [2, 0, 3, 1, 4]),
      dtype: "uint8",
      dims: ["parts", "heads", "queries", size],
    },
    {
      value: inGroups(padded(g, g.transpose(keyBytes, [1, 2, 0]), [0, 0, PADDING]), sizes, keyCount),
      dtype: "int8",
      dims: ["heads", size, "keys"],
    },
    {
      value: inGroups(padded(g, g.transpose(units, [1, 2, 0]), [0, 0, PADDING]), g.int64s([1]), keyCount),
      dtype: "float32",
      dims: ["heads", 1, "keys"],
    },
    {
      value: inGroups(padded(g, g.transpose(byHead(value), [1, 0, 2]), [0, PADDING, 0]), keyCount, sizes),
      dtype: "float32",
      dims: ["heads", "keys", size],
    },
  ] as const;
  const attendPart = (part: Value, key: Value, units: Value, value: Value): Value => {
    const operands = [part, key, g.scalar(1), units, zero, undefined, bias];
    const scores = g.contrib("MatMulIntegerToFloat", operands);
    return g.matMul(g.op("Softmax", [scores], { axis: -1n }), value);
  };
  const attended = g.scan(
    scanned,
    (query, key, units, value) => {
      const inputs = [{ value: query!, dtype: "uint8", dims: ["heads", "queries", size] }] as const;
      return g.scan(inputs, (part) => attendPart(part!, key!, units!, value!), ["heads", "queries", size]);
    },
    ["parts", "heads", "queries", size],
  );
  return g.reshape(g.transpose(attended, [1, 3, 0, 2, 4]), [-1, heads * size]);
}

/** Appends values to the end of each axis; zeros by default. */
function padded(g: GraphBuilder, x: Value, ends: readonly number[], value?: Value): Value {
  return g.op("Pad", [x, g.int64s([...ends.map(() => 0), ...ends]), value]);
}
