// This module is browser compatible.

import { elementCount } from "../../artifacts/tensor.ts";
import type { RequiredWeight } from "./required_weights.ts";

/** Mean and standard deviation of random weights. */
export interface WeightSpread {
  readonly mean: number;
  readonly deviation: number;
}

const NORM = /(^|[._])(layer_norm|group_norm|conv_norm_out|norm\d)\.weight$/;
const QUERY = /\.SelfAttention\.q\.weight$/;
const LAST = /(^|\.)(proj_out|conv_out)\.weight$/;
/** Relative deviation of the last layers, which keeps a model's output small. */
const LAST_DEVIATION = 0.3;
/** Width of an attention head in all versions of T5. */
const T5_HEAD = 64;

/**
 * Returns the distribution with which activations stay finite through all layers: matrices preserve the
 * variance of their input, norms are near 1, and biases are near 0. T5 does not scale its attention scores,
 * so its queries are smaller.
 */
export function weightSpread({ name, shape }: RequiredWeight): WeightSpread {
  const fanIn = elementCount(shape.slice(1));
  if (NORM.test(name)) return { mean: 1, deviation: 0.1 };
  if (shape.length === 1) return { mean: 0, deviation: 0.02 };
  if (name === "shared.weight" || name.includes("relative_attention_bias")) return { mean: 0, deviation: 1 };
  if (QUERY.test(name)) return { mean: 0, deviation: 1 / Math.sqrt(fanIn * T5_HEAD) };
  if (LAST.test(name)) return { mean: 0, deviation: LAST_DEVIATION / Math.sqrt(fanIn) };
  return { mean: 0, deviation: 1 / Math.sqrt(fanIn) };
}
