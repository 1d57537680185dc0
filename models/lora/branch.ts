// This module is browser compatible.

import type { WeightLocation } from "../checkpoint/weights.ts";

/**
 * A low-rank branch in parallel to a layer: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models"
 * (https://arxiv.org/abs/2106.09685). The layer computes W · x + b + scale · up · (down · x).
 */
export interface LowRankBranch {
  /** Matrix [rank, in]; for a convolution [rank, in, kernel, kernel]. */
  readonly down: WeightLocation;
  /** Matrix [out, rank]; for a convolution [out, rank, 1, 1]. */
  readonly up: WeightLocation;
  /** Factor by which the branch is multiplied. */
  readonly scale: number;
}
