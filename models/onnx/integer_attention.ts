// This module is browser compatible.

/**
 * Self-attention with integer products. Each run computes 8-bit queries with one scale per head and 8-bit keys
 * with one scale per head and token, whose products are the scores. The softmax stays in float32.
 *
 * A mean of keys is subtracted first. It adds the same to all scores of a query, so the softmax does not
 * change, but it can be larger than what distinguishes the keys. Source: Zhang et al., "SageAttention: Accurate
 * 8-Bit Attention for Plug-and-play Inference Acceleration" (https://arxiv.org/abs/2410.02367), section 4.2.
 *
 * The product of attention weights and values is in float32 on processors that multiply float32 fast: bytes
 * would take more time to make than they save. Elsewhere, it is a product of bytes too.
 *
 * On processors whose products of bytes overflow, all of attention stays in float32.
 *
 * @module
 */

import { type AttentionWeights, byteValues, floatValues } from "./attended_values.ts";
import { batchedAttention } from "./attention.ts";
import { byteProductProbe, bytesOverflow } from "./byte_product_probe.ts";
import { byteScales, padded, sampledMean, sampledRows, toBytes, zeroPoint } from "./byte_values.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";

/**
 * Number of keys that are added and never attended to. Rows of scores whose bytes are a multiple of 4096 share
 * few places in a CPU's cache, which makes the second product up to 1.5 times as slow.
 */
const PADDING = 16;
/** Bias of the scores of padding. */
const NEVER = -1e30;
/** Approximate number of queries of a head sampled to find out what its weights lose in 8 bits. */
const SAMPLED_QUERIES = 16;

/** The size of an attention, and what multiplies bytes in it. */
export interface IntegerAttentionOptions {
  /** Number of heads. */
  readonly heads: number;
  /** Number of channels per head. */
  readonly size: number;
  /**
   * Number of groups into which the heads are split, int64 [1]. It must divide their number. If it is 0, attention
   * is in float32.
   */
  readonly groups: Value;
  /** Number of parts into which the queries are split, int64 [1]. It must divide their number. */
  readonly parts: Value;
  /**
   * Type of the attention weights and of the values that they multiply.
   *
   * @default {"bytes"}
   */
  readonly weights?: AttentionWeights | undefined;
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
 * @param options Heads, groups of heads, parts of the queries, and the type of the attention weights.
 * @returns [tokens, heads · size].
 */
export function integerAttention(
  g: GraphBuilder,
  query: Value,
  key: Value,
  value: Value,
  options: IntegerAttentionOptions,
): Value {
  const { heads, size, groups } = options;
  g.multipliesBytes(byteProductProbe());
  const inFloats = g.shared(`attention in float32:${groups.name}`, () => {
    return g.op("Or", [bytesOverflow(g), g.op("Equal", [groups, g.int64s([0])])]);
  });
  const attended = g.choose(
    inFloats,
    () => batchedAttention(g, query, key, value, { heads }),
    () => attend(g, query, key, value, options),
    "float32",
    ["rows", "columns", "channels"],
  );
  // Within a branch, a reshape copies.
  return g.reshape(attended, [-1, heads * size]);
}

function attend(
  g: GraphBuilder,
  query: Value,
  key: Value,
  value: Value,
  { heads, size, groups, parts, weights = "bytes" }: IntegerAttentionOptions,
): Value {
  const byHead = (rows: Value): Value => g.reshape(rows, [-1, heads, size]);
  const queries = byHead(query);
  const queryScales = byteScales(g, queries, [0, 2]);
  const queryBytes = toBytes(g, queries, queryScales, "uint8");
  const keys = byHead(g.op("Sub", [key, sampledMean(g, key)]));
  const keyScales = byteScales(g, keys, [2]);
  const keyBytes = toBytes(g, keys, keyScales, "int8");
  const scoreUnits = g.mul(keyScales, g.mul(queryScales, g.scalar(1 / Math.sqrt(size))));

  const tokens = g.op("Shape", [key], { start: 0n, end: 1n });
  const [sizes, groupHeads] = [g.int64s([size]), g.op("Div", [g.int64s([heads]), groups])];
  const inGroups = (byHead: Value, ...shape: Value[]): Value =>
    g.reshape(byHead, g.concat([groups, groupHeads, ...shape], 0));
  const padding = weights === "bytes" ? PADDING : 0;
  const keyCount = padding === 0 ? tokens : g.add(tokens, g.int64s([padding]));
  const keysOfHeads = padded(g, g.transpose(keyBytes, [1, 2, 0]), [0, 0, padding]);
  const unitsOfHeads = padded(g, g.transpose(scoreUnits, [1, 2, 0]), [0, 0, padding]);
  const zeros = () => g.op("Expand", [g.scalar(0), tokens]);
  const bias = padding === 0 ? undefined : padded(g, zeros(), [padding], g.scalar(NEVER));
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
  const sampledScores = () => {
    const sample = g.transpose(sampledRows(g, queryBytes, g.int64s([SAMPLED_QUERIES])), [1, 0, 2]);
    return scores(sample, keysOfHeads, unitsOfHeads);
  };
  const values = weights === "bytes"
    ? byteValues(g, value, { heads, size, padding, keyCount, inGroups, sampledScores })
    : floatValues(g, byHead(value), size, (ofHeads) => inGroups(ofHeads, keyCount, sizes));

  // Two steps that copy whole blocks are faster than one that exchanges all axes.
  const queriesOfHeads = g.transpose(queryBytes, [1, 0, 2]);
  const inParts = g.concat([groups, groupHeads, parts, g.op("Div", [tokens, parts]), sizes], 0);
  const dims = ["heads", "queries", size];
  const attended = g.scan(
    [
      {
        value: g.transpose(g.reshape(queriesOfHeads, inParts), [0, 2, 1, 3, 4]),
        dtype: "uint8",
        dims: ["parts", ...dims],
      },
      { value: inGroups(keysOfHeads, sizes, keyCount), dtype: "int8", dims: ["heads", size, "keys"] },
      {
        value: inGroups(unitsOfHeads, g.int64s([1]), keyCount),
        dtype: "float32",
        dims: ["heads", 1, "keys"],
      },
      ...values.inputs,
    ],
    (query, key, units, ...slices) => {
      const weigh = (sum: (scores: Value) => Value): Value =>
        g.scan(
          [{ value: query!, dtype: "uint8", dims }],
          (part) => sum(scores(part!, key!, units!)),
          dims,
        );
      return values.attend(weigh, slices);
    },
    ["parts", ...dims],
  );
  const ofHeads = g.reshape(g.transpose(attended, [0, 2, 1, 3, 4]), [heads, -1, size]);
  const ofTokens = g.transpose(ofHeads, [1, 0, 2]);
  return values.mean ? g.add(ofTokens, g.reshape(values.mean, [heads, size])) : ofTokens;
}
