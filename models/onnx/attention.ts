// This module is browser compatible.

/**
 * Multi-head attention as ONNX Runtime's own operator.
 *
 * @module
 */

import type { GraphBuilder, Value } from "./graph_builder.ts";

/** Options of {@linkcode attention}. */
export interface AttentionOptions {
  /** Number of heads. */
  readonly heads: number;
  /** Scale of the scores. The default is 1/√size. */
  readonly scale?: number;
  /** Bias of the scores, [1, heads, query, key]. */
  readonly bias?: Value;
  /**
   * Number of concatenated sequences of equal length, each of which attends only to its own keys.
   *
   * @default {1}
   */
  readonly sequences?: number;
  /** Number of valid keys of each sequence, int32 [sequences]; all by default. */
  readonly keyLengths?: Value;
}

/**
 * Computes multi-head attention over rows: softmax(scale · query · keyᵀ + bias) · value. Without a bias, the
 * scores are never all in memory.
 *
 * @param g The graph.
 * @param query [query tokens, heads · size].
 * @param key [key tokens, heads · size].
 * @param value [key tokens, heads · size].
 * @param options Heads, and what deviates from plain attention.
 * @returns [query tokens, heads · size].
 */
export function attention(
  g: GraphBuilder,
  query: Value,
  key: Value,
  value: Value,
  options: AttentionOptions,
): Value {
  const attended = batchedAttention(g, query, key, value, options);
  const rows = (options.sequences ?? 1) === 1 ? attended : g.reshape(attended, [1, -1, 0]);
  return g.op("Squeeze", [rows, g.int64s([0])]);
}

/**
 * Computes {@linkcode attention} without merging the sequences: [sequences, query tokens of each, heads · size].
 */
export function batchedAttention(
  g: GraphBuilder,
  query: Value,
  key: Value,
  value: Value,
  { heads, scale, bias, sequences = 1, keyLengths }: AttentionOptions,
): Value {
  const batched = [query, key, value].map((rows) => {
    const batch = g.op("Unsqueeze", [rows, g.int64s([0])]);
    return sequences === 1 ? batch : g.reshape(batch, [sequences, -1, 0]);
  });
  return g.contrib(
    "MultiHeadAttention",
    bias
      ? [...batched, undefined, keyLengths, bias]
      : keyLengths
      ? [...batched, undefined, keyLengths]
      : batched,
    { num_heads: BigInt(heads), ...(scale === undefined ? {} : { scale }) },
  );
}
