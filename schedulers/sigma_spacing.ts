// This module is browser compatible.

/**
 * Which noise levels a run visits, where they are spaced by sigma and not by timestep.
 *
 * Sources: Karras et al. 2022, equation 5; Lu et al. 2022 (uniform log-SNR); Lee et al. 2024, "Beta Sampling is All You
 * Need"; diffusers `schedulers/scheduling_dpmsolver_multistep.py`.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { z } from "zod";
import { f32 } from "./float32.ts";
import { numpyLog32 } from "./numpy_log.ts";
import { linspace } from "./ranges.ts";
import { symmetricBetaQuantile } from "./beta_distribution.ts";

/** How steeply Karras' sigmas fall. */
const RHO = 7;
/** Both parameters of the beta distribution that sigmas are drawn from. */
const BETA_SHAPE = 0.6;
const SMALLEST_SIGMA = 1e-10;

/** The options that ask for a spacing by sigma. */
export const sigmaSpacingOptions = {
  use_karras_sigmas: z.boolean().nullable().default(false),
  use_exponential_sigmas: z.boolean().nullable().default(false),
  use_beta_sigmas: z.boolean().nullable().default(false),
};

/** Which spacing by sigma is asked for; one of them at the most. */
export interface SigmaSpacingConfig {
  /** Karras et al.: even in sigma^(1/7). */
  readonly use_karras_sigmas: boolean | null;
  /** Even in log sigma. */
  readonly use_exponential_sigmas: boolean | null;
  /** Quantiles of a beta distribution: dense at both ends. */
  readonly use_beta_sigmas: boolean | null;
  /** The lowest sigma, instead of the lowest of the schedule. */
  readonly sigma_min?: number | null;
  /** The highest sigma, instead of the highest of the schedule. */
  readonly sigma_max?: number | null;
}

/** Names of the spacings asked for. */
export function sigmaSpacingsIn(config: SigmaSpacingConfig): string[] {
  const names = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"] as const;
  return names.filter((name) => config[name]);
}

/** Says what is wrong where more than one spacing is asked for. */
export function checkOneSigmaSpacing(config: SigmaSpacingConfig, context: z.RefinementCtx): void {
  const asked = sigmaSpacingsIn(config);
  if (asked.length < 2) return;
  context.addIssue({
    code: "custom",
    path: [asked[1]!],
    message: `must be off where ${asked[0]} is on`,
    input: true,
  });
}

/**
 * Sigmas spaced as the options ask, falling, in float64.
 *
 * @param config Which spacing, and its ends.
 * @param high The highest sigma, where the options do not say.
 * @param low The lowest sigma, where the options do not say.
 * @param steps How many there are.
 * @returns `undefined` where no such spacing is asked for.
 * @throws {InputError} if an end is one that the spacing has no room for.
 */
export function spacedSigmas(
  config: SigmaSpacingConfig,
  high: number,
  low: number,
  steps: number,
): number[] | undefined {
  const max = config.sigma_max ?? high;
  const min = config.sigma_min ?? low;
  const [spacing] = sigmaSpacingsIn(config);
  const lowest = Math.min(max, min);
  // Roots and logarithms have no room below 0; quantiles do.
  if ((config.use_karras_sigmas && lowest < 0) || (config.use_exponential_sigmas && lowest <= 0)) {
    throw new InputError(
      "invalid_schedule",
      `Cannot space noise levels by ${spacing} as they must be ${
        config.use_exponential_sigmas ? "above 0" : "0 or above"
      }: they go from ${max} to ${min}. Choose other sigmas, another mu, or another spacing`,
    );
  }
  if (config.use_karras_sigmas) {
    const [first, last] = [max ** (1 / RHO), min ** (1 / RHO)];
    return linspace(0, 1, steps).map((ramp) => (first + ramp * (last - first)) ** RHO);
  }
  if (config.use_exponential_sigmas) {
    return linspace(Math.log(max), Math.log(min), steps).map(Math.exp);
  }
  if (!config.use_beta_sigmas) return undefined;
  return linspace(0, 1, steps).map((ramp) => min + symmetricBetaQuantile(1 - ramp, BETA_SHAPE) * (max - min));
}

/** Sigmas spaced evenly in log-SNR from the highest of training to the lowest, in float64. */
export function uniformLogSnrSigmas(logSigmas: Float32Array, steps: number): number[] {
  const [first, last] = [logSigmas[logSigmas.length - 1]!, logSigmas[0]!];
  return linspace(0, 1, steps).map((ramp) => Math.exp(first + ramp * (last - first)));
}

/**
 * The fractional training timestep at which training has the noise level `sigma`.
 *
 * @param sigma A noise level, in float64.
 * @param logSigmas Logarithms of the sigmas of training, rising.
 */
export function timestepOfSigma(sigma: number, logSigmas: Float32Array): number {
  const logSigma = Math.log(Math.max(sigma, SMALLEST_SIGMA));
  const below = indexBelow(logSigma, logSigmas);
  const [low, high] = [logSigmas[below]!, logSigmas[below + 1]!];
  const weight = clip((low - logSigma) / f32(low - high));
  return (1 - weight) * below + weight * (below + 1);
}

/** The same for a noise level in float32, which is then reckoned in float32. */
export function timestepOfSigma32(sigma: number, logSigmas: Float32Array): number {
  const logSigma = numpyLog32(Math.max(sigma, f32(SMALLEST_SIGMA)));
  const below = indexBelow(logSigma, logSigmas);
  const [low, high] = [logSigmas[below]!, logSigmas[below + 1]!];
  const weight = clip(f32(f32(low - logSigma) / f32(low - high)));
  return f32(1 - weight) * below + weight * (below + 1);
}

/** The last training timestep but one that is not above; searched from the end, as the last sigma need not be the highest. */
function indexBelow(logSigma: number, logSigmas: Float32Array): number {
  let below = logSigmas.length - 1;
  while (below > 0 && logSigmas[below]! > logSigma) below--;
  return Math.min(below, logSigmas.length - 2);
}

function clip(weight: number): number {
  return Math.min(Math.max(weight, 0), 1);
}
