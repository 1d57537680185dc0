// This module is browser compatible.

/**
 * The noise levels of a run that are spaced by sigma instead of by timestep.
 *
 * Sources: Karras et al. 2022, equation 5; Lu et al. 2022 (uniform log-SNR); Lee et al. 2024, "Beta Sampling
 * is All You Need"; diffusers `schedulers/scheduling_dpmsolver_multistep.py`.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { z } from "zod";
import { f32 } from "./float32.ts";
import { numpyLog32 } from "./numpy_log.ts";
import { linspace } from "./ranges.ts";
import { symmetricBetaQuantile } from "./beta_distribution.ts";

/** The exponent that determines how steeply Karras' sigmas fall. */
const RHO = 7;
/** Both parameters of the beta distribution that sigmas are drawn from. */
const BETA_SHAPE = 0.6;
const SMALLEST_SIGMA = 1e-10;

/** The options that select a spacing by sigma. */
export const sigmaSpacingOptions = {
  use_karras_sigmas: z.boolean().nullable().default(false),
  use_exponential_sigmas: z.boolean().nullable().default(false),
  use_beta_sigmas: z.boolean().nullable().default(false),
};

/** The selected spacing by sigma; at most one is on. */
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

/** Returns the names of the selected spacings. */
export function sigmaSpacingsIn(config: SigmaSpacingConfig): string[] {
  const names = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"] as const;
  return names.filter((name) => config[name]);
}

/** Adds an issue if more than one spacing is selected. */
export function checkOneSigmaSpacing(config: SigmaSpacingConfig, context: z.RefinementCtx): void {
  const asked = sigmaSpacingsIn(config);
  if (asked.length < 2) return;
  context.addIssue({
    code: "custom",
    path: [asked[1]!],
    message: `must be off when ${asked[0]} is on`,
    input: true,
  });
}

/**
 * Returns sigmas spaced as the options select, falling, in float64.
 *
 * @param config The selected spacing and its ends.
 * @param high The highest sigma if the options have none.
 * @param low The lowest sigma if the options have none.
 * @param steps The number of sigmas.
 * @returns The sigmas, or `undefined` if no such spacing is selected.
 * @throws {InputError} if the spacing does not allow one of the ends.
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
  // Roots and logarithms are undefined below 0; quantiles are not.
  if ((config.use_karras_sigmas && lowest < 0) || (config.use_exponential_sigmas && lowest <= 0)) {
    throw new InputError(
      "invalid_schedule",
      `Cannot space noise levels by ${spacing} because they must be ${
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

/** Returns sigmas spaced evenly in log-SNR from the highest to the lowest of training, in float64. */
export function uniformLogSnrSigmas(logSigmas: Float32Array, steps: number): number[] {
  const [first, last] = [logSigmas[logSigmas.length - 1]!, logSigmas[0]!];
  return linspace(0, 1, steps).map((ramp) => Math.exp(first + ramp * (last - first)));
}

/**
 * Returns the fractional training timestep whose noise level is `sigma`.
 *
 * @param sigma A noise level, in float64.
 * @param logSigmas Logarithms of the training sigmas, rising.
 */
export function timestepOfSigma(sigma: number, logSigmas: Float32Array): number {
  const logSigma = Math.log(Math.max(sigma, SMALLEST_SIGMA));
  const below = indexBelow(logSigma, logSigmas);
  const [low, high] = [logSigmas[below]!, logSigmas[below + 1]!];
  const weight = clip((low - logSigma) / f32(low - high));
  return (1 - weight) * below + weight * (below + 1);
}

/** Does the same for a float32 noise level, in float32 arithmetic. */
export function timestepOfSigma32(sigma: number, logSigmas: Float32Array): number {
  const logSigma = numpyLog32(Math.max(sigma, f32(SMALLEST_SIGMA)));
  const below = indexBelow(logSigma, logSigmas);
  const [low, high] = [logSigmas[below]!, logSigmas[below + 1]!];
  const weight = clip(f32(f32(low - logSigma) / f32(low - high)));
  return f32(1 - weight) * below + weight * (below + 1);
}

/**
 * Returns the last timestep but one whose level is not above; searches from the end, as the last sigma can be
 * lower.
 */
function indexBelow(logSigma: number, logSigmas: Float32Array): number {
  let below = logSigmas.length - 1;
  while (below > 0 && logSigmas[below]! > logSigma) below--;
  return Math.min(below, logSigmas.length - 2);
}

function clip(weight: number): number {
  return Math.min(Math.max(weight, 0), 1);
}
