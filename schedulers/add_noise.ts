// This module is browser compatible.

/**
 * Adds noise to a clean sample up to the noise level of a timestep; image-to-image runs start there.
 *
 * Source: diffusers `add_noise` and `scale_noise`.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { linearCombination } from "./elementwise.ts";
import { type SignalLevel, trainingLevel } from "./signal_level.ts";

/** Adds noise as training does, at any training timestep. */
export function addTrainingNoise(
  alphas: Float32Array,
  original: Float32Array,
  noise: Float32Array,
  timestep: number,
): Float32Array {
  const alpha = alphas[timestep];
  if (alpha === undefined) {
    throw new InputError(
      "out_of_range",
      `Cannot add noise at timestep ${timestep}: give an integer from 0 to ${alphas.length - 1}`,
    );
  }
  return addNoiseAt(trainingLevel(alpha), original, noise);
}

/** Adds noise at a given level: `alpha * original + sigma * noise`. */
export function addNoiseAt(
  { alpha, sigma }: Pick<SignalLevel, "alpha" | "sigma">,
  original: Float32Array,
  noise: Float32Array,
): Float32Array {
  if (original.length !== noise.length) {
    throw new InputError(
      "invalid_shape",
      `Cannot add noise of ${noise.length} values to a sample of ${original.length}: their lengths must be equal`,
    );
  }
  return linearCombination([alpha, sigma], [original, noise]);
}

/**
 * Returns the sigma of a timestep of the schedule. Rounding can make two timesteps equal although their
 * sigmas differ.
 *
 * @param timesteps The timesteps of the schedule.
 * @param sigmas Their sigmas.
 * @param timestep One of `timesteps`.
 * @param next The call at which the search starts; earlier calls are searched only if no later one matches.
 * @throws {InputError} if the schedule does not visit that timestep.
 */
export function sigmaAt(
  timesteps: readonly number[],
  sigmas: readonly number[],
  timestep: number,
  next: number,
): number {
  const ahead = timesteps.indexOf(timestep, next);
  const index = ahead >= 0 ? ahead : timesteps.indexOf(timestep);
  if (index >= 0) return sigmas[index]!;
  throw new InputError(
    "out_of_range",
    `Cannot add noise at timestep ${timestep}: give one of the schedule's, ${timesteps.join(", ")}`,
  );
}
