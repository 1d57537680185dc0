// This module is browser compatible.

/**
 * Low-rank branches in a graph: beside a layer, or merged into its matrix where a graph needs that as a whole.
 *
 * @module
 */

import type { ComputeType, GraphBuilder, Value } from "../onnx/graph_builder.ts";
import type { LowRankBranch } from "./branch.ts";

/** Adds branches to what a linear layer gives: `x` [rows, in], `y` [rows, out], both of `dtype`. */
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

/** Adds branches to what a convolution gives: of its kernel to as many channels as the rank, then of 1 x 1. */
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
 * A matrix [out, in] with its branches merged in, computed in float32 and rounded once. A device with memory of its own
 * does so when the graph opens: its copy of the weights is then as large as before, and steps cost nothing more.
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
