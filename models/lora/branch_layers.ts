// This module is browser compatible.

/**
 * Low-rank branches in a graph: in parallel to a layer, or merged into its matrix if the graph needs the
 * whole matrix.
 *
 * @module
 */

import type { ComputeType, GraphBuilder, Value } from "../onnx/graph_builder.ts";
import type { LowRankBranch } from "./branch.ts";

/**
 * Adds branches to the output `y` [rows, out] of a linear layer with input `x` [rows, in], both of type
 * `dtype`.
 */
export function addLinearBranches(
  g: GraphBuilder,
  x: Value,
  y: Value,
  branches: readonly LowRankBranch[],
  dtype: ComputeType,
): Value {
  return branches.reduce((sum, { down, up, scale }) => {
    const inner = g.gemm(x, g.weight(down, dtype));
    return g.op("Gemm", [inner, g.weight(up, dtype), sum], { alpha: scale, transB: 1n });
  }, y);
}

/**
 * Adds branches to the output of a convolution. Each is a convolution with the layer's kernel to `rank`
 * channels, followed by a 1 x 1 convolution.
 */
export function addConvBranches(
  g: GraphBuilder,
  x: Value,
  y: Value,
  branches: readonly LowRankBranch[],
  options: { readonly stride: bigint; readonly pads: readonly bigint[] },
): Value {
  return branches.reduce((sum, { down, up, scale }) => {
    const inner = g.conv(x, g.weight(down), undefined, options);
    const outer = g.conv(inner, g.weight(up), undefined, { stride: 1n, pads: Array(4).fill(0n) });
    return g.add(sum, g.mul(outer, g.scalar(scale)));
  }, y);
}

/**
 * Returns a matrix [out, in] with its branches merged in, computed in float32 and rounded once. A device with
 * its own memory merges when the graph opens. Its copy of the weights does not grow, and steps take no extra
 * time.
 */
export function mergedMatrix(
  g: GraphBuilder,
  weight: Value,
  branches: readonly LowRankBranch[],
  dtype: ComputeType,
): Value {
  const merged = branches.reduce(
    (sum, { down, up, scale }) => g.add(sum, g.mul(g.matMul(g.weight(up), g.weight(down)), g.scalar(scale))),
    weight,
  );
  return dtype === "float32" ? merged : g.cast(merged, dtype);
}
