// This module is browser compatible.

import { elementCount } from "../../artifacts/tensor.ts";
import type { AskedWeight } from "./asked_weights.ts";

/** Mean and standard deviation of random weights. */
export interface WeightSpread {
  readonly mean: number;
  readonly deviation: number;
}

const NORM = /(^|[._])(layer_norm|group_norm|conv_norm_out|norm\d)\.weight$/;
const QUERY = /\.SelfAttention\.q\.weight$/;
const LAST = /(^|\.)(proj_out|conv_out)\.weight$/;
/** Of the last layers, so that what a model gives stays small. */
const LAST_DEVIATION = 0.3;
/** Of an attention's head in all of T5's versions. */
const T5_HEAD = 64;

/**
 * The spread by which activations stay finite through all layers: matrices keep the variance of what they multiply,
 * norms stand near 1, biases near 0. T5 does not scale the scores of its attention, so its queries are smaller.
 */
export function weightSpread({ name, shape }: AskedWeight): WeightSpread {
  const fanIn = elementCount(shape.slice(1));
  if (NORM.test(name)) return { mean: 1, deviation: 0.1 };
  if (shape.length === 1) return { mean: 0, deviation: 0.02 };
  if (name === "shared.weight" || name.includes("relative_attention_bias")) return { mean: 0, deviation: 1 };
  if (QUERY.test(name)) return { mean: 0, deviation: 1 / Math.sqrt(fanIn * T5_HEAD) };
  if (LAST.test(name)) return { mean: 0, deviation: LAST_DEVIATION / Math.sqrt(fanIn) };
  return { mean: 0, deviation: 1 / Math.sqrt(fanIn) };
}
