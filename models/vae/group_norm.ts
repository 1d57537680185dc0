// This module is browser compatible.

/**
 * Group normalization: Wu and He, https://arxiv.org/abs/1803.08494.
 *
 * @module
 */

import type { GraphBuilder, Value } from "../onnx/graph_builder.ts";

/** One group normalization of a graph. */
export interface GroupNorm {
  /** The module that holds its scale and shift. */
  readonly module: string;
  /** Number of groups. */
  readonly groups: number;
  /** Added to the variance. */
  readonly epsilon: number;
}

/**
 * Brings each group of channels of `x` [1, channels, h, w] to mean 0 and variance 1; the learned scale and shift come
 * after it. A model takes it as a parameter, as a tile needs the whole picture's mean and variance.
 */
export type NormalizeGroups = (graph: GraphBuilder, x: Value, norm: GroupNorm) => Value;

/** Takes mean and variance of `x` itself. */
export const normalizeGroups: NormalizeGroups = (graph, x, { groups, epsilon }) => {
  const rows = graph.reshape(x, [1, groups, -1]);
  const ones = graph.vector(Array(groups).fill(1));
  const zeros = graph.vector(Array(groups).fill(0));
  const normed = graph.op("InstanceNormalization", [rows, ones, zeros], { epsilon });
  return graph.reshapeLike(normed, x);
};
