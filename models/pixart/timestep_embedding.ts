// This module is browser compatible.

/**
 * Sinusoidal embeddings of a timestep or a size, in float32. Reference: `get_timestep_embedding` in
 * diffusers/models/embeddings.py, as PixArt calls it.
 *
 * @module
 */

import { type Tensor, tensor } from "../../artifacts/tensor.ts";

/** Number of sinusoids per value: half cosines, half sines. */
export const TIMESTEP_CHANNELS = 256;

const LOG_LARGEST_PERIOD = Math.fround(Math.log(10_000));

/**
 * Embeds numbers as sinusoids of decreasing frequency: cosines first, then sines.
 *
 * @param values Timesteps, pixels or ratios, possibly fractional.
 * @returns [values, 256].
 */
export function timestepEmbedding(values: readonly number[]): Tensor<"float32"> {
  const half = TIMESTEP_CHANNELS / 2;
  const data = new Float32Array(values.length * TIMESTEP_CHANNELS);
  for (const [row, value] of values.entries()) {
    for (let i = 0; i < half; i++) {
      const exponent = Math.fround(-LOG_LARGEST_PERIOD * i) / half;
      const angle = Math.fround(Math.fround(value) * Math.fround(Math.exp(exponent)));
      data[row * TIMESTEP_CHANNELS + i] = Math.cos(angle);
      data[row * TIMESTEP_CHANNELS + half + i] = Math.sin(angle);
    }
  }
  return tensor("float32", [values.length, TIMESTEP_CHANNELS], data);
}
