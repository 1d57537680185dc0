// This module is browser compatible.

/**
 * Self-attention whose products are integer products. Each run computes 8-bit queries with one scale per head,
 * 8-bit keys with one scale per head and token, 8-bit values with one scale per channel, and 8-bit attention
 * weights with one scale per head and query. The softmax stays in float32.
 *
 * A mean of keys is subtracted first. It adds the same to all scores of a query, so the softmax does not
 * change, but it can be larger than what distinguishes the keys. A mean of values is subtracted too, and added to
 * the result, because attention weights sum to 1. Source: Zhang et al., "SageAttention: Accurate
 * 8-Bit Attention for Plug-and-play Inference Acceleration" (https://arxiv.org/abs/2410.02367), section 4.2.
 *
 * 8 bits lose the weights below a 510th of the largest one. What they weigh then counts as if it were evenly
 * distributed over all values. Where many small weights would be lost, the weights therefore stay in float32. On
 * processors whose products of bytes overflow, all of attention does.
 *
 * @module
 */

import { attention } from "./attention.ts";
import { byteProductProbe, bytesOverflow } from "./byte_product_probe.ts";
import { byteScales, sampledRows, toBytes, zeroPoint } from "./byte_values.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";

/**
 * Number of keys that are added and never attended to. Rows of scores whose bytes are a multiple of 4096 share
 * few places in a CPU's cache, which makes the second product up to 1.5 times as slow.
 */
const PADDING = 16;
/** Bias of the scores of padding. */
const NEVER = -1e30;
/** Approximate number of rows from which the mean of keys and of values is computed. */
const SAMPLED_ROWS = 64;
/** Value of an attention weight's byte, relative to the largest weight of the query. */
const WEIGHT_UNIT = 1 / 255;
/** Approximate number of queries of a head sampled to find out what its weights lose in 8 bits. */
const SAMPLED_QUERIES = 16;
/** Largest average fraction of a query's weights that a head may lose in 8 bits. */
const MOST_LOST = 0.1;

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
 * Adds self-attention with integer products to a graph. It processes one group of heads and one part of their
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
  options: IntegerAttentionOptions,
): Value {
  const { heads, size } = options;
  g.multipliesBytes(byteProductProbe());
  return g.choose(
    bytesOverflow(g),
    () => attention(g, query, key, value, { heads }),
    () => attend(g, query, key, value, options),
    "float32",
    ["tokens", heads * size],
  );
}

function attend(
  g: GraphBuilder,
  query: Value,
  key: Value,
  value: Value,
  { heads, size, groups, parts }: IntegerAttentionOptions,
): Value {
  const byHead = (rows: Value): Value => g.reshape(rows, [-1, heads, size]);
  const mean = (rows: Value): Value =>
    g.op("ReduceMean", [sampledRows(g, rows, g.int64s([SAMPLED_ROWS])), g.int64s([0])]);
  const queries = byHead(query);
  const queryScales = byteScales(g, queries, [0, 2]);
  const queryBytes = toBytes(g, queries, queryScales, "uint8");
  const keys = byHead(g.op("Sub", [key, mean(key)]));
  const keyScales = byteScales(g, keys, [2]);
  const keyBytes = toBytes(g, keys, keyScales, "int8");
  const scoreUnits = g.mul(keyScales, g.mul(queryScales, g.scalar(1 / Math.sqrt(size))));
  const valueMean = mean(value);
  const values = g.op("Sub", [value, valueMean]);
  const valueUnits = byteScales(g, values, [0]);
  const valueBytes = toBytes(g, values, valueUnits, "int8");
  const tokens = g.op("Shape", [key], { start: 0n, end: 1n });
  const keysOfHeads = padded(g, g.transpose(keyBytes, [1, 2, 0]), [0, 0, PADDING]);
  const unitsOfHeads = padded(g, g.transpose(scoreUnits, [1, 2, 0]), [0, 0, PADDING]);
  const valuesOfHeads = padded(g, g.transpose(byHead(valueBytes), [1, 0, 2]), [0, PADDING, 0]);
  const bias = padded(g, g.op("Expand", [g.scalar(0), tokens]), [PADDING], g.scalar(NEVER));
  const scores = (query: Value, key: Value, units: Value): Value =>
    g.contrib("MatMulIntegerToFloat", [
      query,
      key,
      g.scalar(1),
      units,
      zeroPoint(g, "uint8"),
      undefined,
      bias,
    ]);

  const sample = g.transpose(sampledRows(g, queryBytes, g.int64s([SAMPLED_QUERIES])), [1, 0, 2]);
  const kept = keptWeights(g, scores(sample, keysOfHeads, unitsOfHeads));
  const groupHeads = g.op("Div", [g.int64s([heads]), groups]);
  const keyCount = g.add(tokens, g.int64s([PADDING]));
  const sizes = g.int64s([size]);
  const inGroups = (byHead: Value, ...shape: Value[]): Value =>
    g.reshape(byHead, g.concat([groups, groupHeads, ...shape], 0));
  const losesLittle = g.op("Greater", [
    g.op("ReduceMin", [inGroups(kept), g.int64s([1])]),
    g.scalar(1 - MOST_LOST),
  ]);
  // Two steps that copy whole blocks are faster than one that exchanges all axes.
  const queriesOfHeads = g.transpose(queryBytes, [1, 0, 2]);
  const inParts = g.concat([groups, groupHeads, parts, g.op("Div", [tokens, parts]), sizes], 0);
  const attended = g.scan(
    [
      {
        value: g.transpose(g.reshape(queriesOfHeads, inParts), [0, 2, 1, 3, 4]),
        dtype: "uint8",
        dims: ["parts", "heads", "queries", size],
      },
      { value: inGroups(keysOfHeads, sizes, keyCount), dtype: "int8", dims: ["heads", size, "keys"] },
      {
        value: inGroups(unitsOfHeads, g.int64s([1]), keyCount),
        dtype: "float32",
        dims: ["heads", 1, "keys"],
      },
      { value: inGroups(valuesOfHeads, keyCount, sizes), dtype: "int8", dims: ["heads", "keys", size] },
      {
        value: inGroups(g.reshape(valueUnits, [heads, 1, size]), g.int64s([1]), sizes),
        dtype: "float32",
        dims: ["heads", 1, size],
      },
      { value: losesLittle, dtype: "bool", dims: [1] },
    ],
    attendGroup(g, size, scores),
    ["parts", "heads", "queries", size],
  );
  const ofHeads = g.reshape(g.transpose(attended, [0, 2, 1, 3, 4]), [heads, -1, size]);
  return g.add(g.reshape(g.transpose(ofHeads, [1, 0, 2]), [-1, heads * size]), valueMean);
}

/** Returns a function that lets the queries of a group of heads attend to its keys, part by part. */
function attendGroup(
  g: GraphBuilder,
  size: number,
  scores: (query: Value, key: Value, units: Value) => Value,
): (...slices: Value[]) => Value {
  return (...slices) => {
    const [query, key, units, value, valueUnits, losesLittle] = slices as [
      Value,
      Value,
      Value,
      Value,
      Value,
      Value,
    ];
    const dims = ["heads", "queries", size];
    const inParts = (attend: (scores: Value) => Value): Value =>
      g.scan([{ value: query, dtype: "uint8", dims }], (part) => attend(scores(part!, key, units)), dims);
    const integer = () => {
      const sumUnits = g.mul(valueUnits, g.scalar(WEIGHT_UNIT));
      return inParts((scores) => {
        const weights = unnormalizedWeights(g, scores);
        const bytes = g.op("QuantizeLinear", [weights, g.scalar(WEIGHT_UNIT)]);
        const sums = g.contrib("MatMulIntegerToFloat", [bytes, value, g.scalar(1), sumUnits]);
        return g.op("Div", [sums, total(g, weights)]);
      });
    };
    const exact = () => {
      const values = g.mul(g.cast(value, "float32"), valueUnits);
      return inParts((scores) => g.matMul(g.op("Softmax", [scores], { axis: -1n }), values));
    };
    return g.choose(losesLittle, integer, exact, "float32", ["parts", ...dims]);
  };
}

/**
 * Returns attention weights relative to the largest one of each query, which is 1. They are not divided by their
 * sum, so bytes cover their range without another pass.
 */
function unnormalizedWeights(g: GraphBuilder, scores: Value): Value {
  return g.op("Exp", [g.op("Sub", [scores, g.op("ReduceMax", [scores, g.int64s([2])])])]);
}

/** Sums the weights of each query, [heads, queries, 1]. */
function total(g: GraphBuilder, weights: Value): Value {
  return g.op("ReduceSum", [weights, g.int64s([2])]);
}

/** Returns the fraction of a head's weights that remains in 8 bits, averaged over its queries, [heads]. */
function keptWeights(g: GraphBuilder, scores: Value): Value {
  const weights = unnormalizedWeights(g, scores);
  const bytes = g.op("Round", [g.mul(weights, g.scalar(1 / WEIGHT_UNIT))]);
  const kept = g.op("Div", [g.mul(total(g, bytes), g.scalar(WEIGHT_UNIT)), total(g, weights)]);
  return g.op("ReduceMean", [kept, g.int64s([1, 2])], { keepdims: 0n });
}

/** Appends values to the end of each axis; zeros by default. */
function padded(g: GraphBuilder, x: Value, ends: readonly number[], value?: Value): Value {
  return g.op("Pad", [x, g.int64s([...ends.map(() => 0), ...ends]), value]);
}
