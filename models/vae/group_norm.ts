// This module is browser compatible.

/**
 * Group normalization: Wu and He, https://arxiv.org/abs/1803.08494.
 *
 * @module
 */

import type { ComputeType, GraphBuilder, Value } from "../onnx/graph_builder.ts";

/** One group normalization of a graph. */
export interface GroupNorm {
  /** Number of groups. */
  readonly groups: number;
  /** Added to the variance. */
  readonly epsilon: number;
}

/**
 * Brings each group of channels to mean 0 and variance 1; the learned scale and shift come after it.
 *
 * @param graph The graph.
 * @param x [1, channels, h, w].
 * @param norm Groups, and what is added to their variance.
 * @param dtype The type of `x`.
 * @returns As `x`.
 */
export function normalizeGroups(
  graph: GraphBuilder,
  x: Value,
  { groups, epsilon }: GroupNorm,
  dtype: ComputeType = "float32",
): Value {
  const rows = graph.reshape(x, [1, groups, -1]);
  const [ones, zeros] = [1, 0].map((value) => {
    const vector = graph.vector(Array(groups).fill(value));
    return dtype === "float32" ? vector : graph.cast(vector, dtype);
  });
  const normed = graph.op("InstanceNormalization", [rows, ones, zeros], { epsilon });
  return graph.reshapeLike(normed, x);
}
