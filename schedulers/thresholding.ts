// This module is browser compatible.

/**
 * Keeps a predicted clean sample within bounds.
 *
 * Source: Saharia et al. 2022, "Imagen", section 2.3 (dynamic thresholding); diffusers `_threshold_sample`.
 *
 * @module
 */

import { z } from "zod";
import { f32 } from "./float32.ts";

/** The options of dynamic thresholding. */
export const thresholdingOptions = {
  thresholding: z.boolean().default(false),
  dynamic_thresholding_ratio: z.number().min(0).max(1).default(0.995),
  sample_max_value: z.number().gt(0).default(1),
};

/** The options of clipping. */
export const clippingOptions = {
  clip_sample: z.boolean().default(false),
  clip_sample_range: z.number().gt(0).default(1),
};

/** The bounds of a clean sample. */
export interface BoundsConfig {
  /** Whether a quantile of the sample itself is the bound. */
  readonly thresholding?: boolean;
  /** The quantile. */
  readonly dynamic_thresholding_ratio?: number;
  /** The largest bound. */
  readonly sample_max_value?: number;
  /** Whether the bound is fixed. */
  readonly clip_sample?: boolean;
  /** The fixed bound. */
  readonly clip_sample_range?: number;
}

/**
 * Limits a clean sample to its bounds, in place.
 *
 * @param clean A sample of one image; changed.
 * @param config The bounds; none by default.
 * @returns `clean`.
 */
export function keepWithinBounds(clean: Float32Array, config: BoundsConfig): Float32Array {
  if (config.thresholding) {
    const bound = f32(
      Math.min(
        Math.max(quantileOfSize(clean, config.dynamic_thresholding_ratio!), 1),
        config.sample_max_value!,
      ),
    );
    clip(clean, bound);
    for (let i = 0; i < clean.length; i++) clean[i] = clean[i]! / bound;
  } else if (config.clip_sample) {
    clip(clean, f32(config.clip_sample_range!));
  }
  return clean;
}

function clip(values: Float32Array, bound: number): void {
  for (let i = 0; i < values.length; i++) values[i] = Math.min(Math.max(values[i]!, -bound), bound);
}

/** Returns a quantile of absolute values, linear between neighbours, computed in float32. */
function quantileOfSize(values: Float32Array, ratio: number): number {
  const sizes = values.map(Math.abs).sort();
  const rank = f32(f32(ratio) * (sizes.length - 1));
  const below = Math.floor(rank);
  const weight = f32(rank - below);
  const [low, high] = [sizes[below]!, sizes[Math.ceil(rank)]!];
  const gap = f32(high - low);
  return weight < 0.5 ? f32(low + f32(weight * gap)) : f32(high - f32(gap * f32(1 - weight)));
}
