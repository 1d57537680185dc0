// This module is browser compatible.

/**
 * Group normalization: Wu and He, https://arxiv.org/abs/1803.08494.
 *
 * @module
 */

import type { ComputeType, GraphBuilder, Value } from "../onnx/graph_builder.ts";

/** The parameters of a group normalization. */
export interface GroupNorm {
  /** Number of groups. */
  readonly groups: number;
  /** Constant added to the variance. */
  readonly epsilon: number;
}

/**
 * Normalizes each group of channels to mean 0 and variance 1. The learned scale and shift are not included.
 *
 * @param graph The graph.
 * @param x [1, channels, h, w].
 * @param norm Groups and epsilon.
 * @param dtype Type of `x`.
 * @returns The normalized value, with the shape of `x`.
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
