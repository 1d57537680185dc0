// This module is browser compatible.

import type { WeightLocation } from "../checkpoint/weights.ts";

/**
 * A low-rank branch beside a layer: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models"
 * (https://arxiv.org/abs/2106.09685). The layer gives W · x + b + scale · up · (down · x).
 */
export interface LowRankBranch {
  /** [rank, in]; of a convolution [rank, in, kernel, kernel]. */
  readonly down: WeightLocation;
  /** [out, rank]; of a convolution [out, rank, 1, 1]. */
  readonly up: WeightLocation;
  /** What the branch is multiplied by. */
  readonly scale: number;
}
