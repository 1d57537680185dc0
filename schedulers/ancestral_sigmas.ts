// This module is browser compatible.

/**
 * Splits an ancestral step into a deterministic step down and fresh noise.
 *
 * Source: diffusers `schedulers/scheduling_euler_ancestral_discrete.py` and
 * `scheduling_k_dpm_2_ancestral_discrete.py`.
 *
 * @module
 */

import { f32, sqrt32 } from "./float32.ts";

/**
 * Returns the sigma to step `down` to from `sigma`, and the sigma of the noise that leads back `up` to
 * `next`.
 */
export function ancestralSigmas(sigma: number, next: number): { readonly up: number; readonly down: number } {
  const variance = f32(sigma * sigma);
  const nextVariance = f32(next * next);
  const up = sqrt32(f32(f32(nextVariance * f32(variance - nextVariance)) / variance));
  return { up, down: sqrt32(f32(nextVariance - f32(up * up))) };
}
