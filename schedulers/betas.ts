// This module is browser compatible.

/**
 * The variance that training adds at each timestep, and the share of the signal that is left after it.
 *
 * Sources: Ho et al. 2020 (linear), Nichol and Dhariwal 2021 (cosine), Lin et al. 2023, algorithm 1 (zero
 * terminal SNR); diffusers `schedulers/scheduling_ddpm.py` and `scheduling_ddim.py`.
 *
 * @module
 */

import { z } from "zod";
import { f32, sqrt32 } from "./float32.ts";
import { linspace32 } from "./ranges.ts";

const LARGEST_BETA = 0.999;
/**
 * The reference sets the last product to this value under zero terminal SNR, because 0 makes the last sigma
 * infinite.
 */
const SMALLEST_ALPHA = 2 ** -24;

/** The options that describe how training adds noise. */
export const betaOptions = {
  num_train_timesteps: z.int().min(2).default(1000),
  beta_start: z.number().gt(0).lt(1).default(0.0001),
  beta_end: z.number().gt(0).lt(1).default(0.02),
  beta_schedule: z.enum(["linear", "scaled_linear", "squaredcos_cap_v2"]).default("linear"),
  trained_betas: z.array(z.number().min(0).max(1)).min(2).nullable().default(null),
};

/** The noise schedule of training. */
export interface BetaConfig {
  /** Number of training timesteps. */
  readonly num_train_timesteps: number;
  /** The first beta. */
  readonly beta_start: number;
  /** The last beta. */
  readonly beta_end: number;
  /** The curve along which betas rise from the first to the last. */
  readonly beta_schedule: "linear" | "scaled_linear" | "squaredcos_cap_v2" | "exp" | "sigmoid";
  /** The betas themselves; they override all of the above. */
  readonly trained_betas: readonly number[] | null;
  /** Whether betas are rescaled so that no signal is left at the last timestep. */
  readonly rescale_betas_zero_snr?: boolean;
}

/**
 * Returns the product of (1 - beta) up to each training timestep, in float32 as the reference computes it.
 *
 * @param config The noise schedule of training.
 * @param options With `liftLast`, the last product, 0 under zero terminal SNR, becomes 2^-24. Solvers that
 * divide by it need that.
 * @returns One value per training timestep, falling.
 */
export function alphasCumprod(
  config: BetaConfig,
  { liftLast = false }: { readonly liftLast?: boolean } = {},
): Float32Array {
  const betas = trainingBetas(config);
  if (!config.rescale_betas_zero_snr) return cumulativeProduct(betas);
  const alphas = cumulativeProduct(rescaleToZeroTerminalSnr(betas));
  if (liftLast) alphas[alphas.length - 1] = SMALLEST_ALPHA;
  return alphas;
}

function trainingBetas(config: BetaConfig): Float32Array {
  const { num_train_timesteps: count, beta_start: start, beta_end: end } = config;
  if (config.trained_betas) return Float32Array.from(config.trained_betas);
  switch (config.beta_schedule) {
    case "linear":
      return linspace32(start, end, count);
    case "scaled_linear":
      return linspace32(Math.sqrt(start), Math.sqrt(end), count).map((root) => root * root);
    case "squaredcos_cap_v2":
      return betasFromSignal(count, (time) => Math.cos((time + 0.008) / 1.008 * Math.PI / 2) ** 2);
    case "exp":
      return betasFromSignal(count, (time) => Math.exp(time * -12));
    case "sigmoid":
      return linspace32(-6, 6, count).map((x) =>
        f32(f32(1 / (1 + Math.exp(-x))) * f32(end - start)) + f32(start)
      );
  }
}

/** Returns betas that leave the share `signal(time)` of the signal at each time from 0 to 1. */
function betasFromSignal(count: number, signal: (time: number) => number): Float32Array {
  return Float32Array.from(
    { length: count },
    (_, index) => Math.min(1 - signal((index + 1) / count) / signal(index / count), LARGEST_BETA),
  );
}

/** Accumulates in float64 and rounds each product to float32, as PyTorch does on a CPU. */
function cumulativeProduct(betas: Float32Array): Float32Array {
  let product = 1;
  return betas.map((beta) => product *= f32(1 - beta));
}

function rescaleToZeroTerminalSnr(betas: Float32Array): Float32Array {
  const roots = cumulativeProduct(betas).map(sqrt32);
  const first = roots[0]!;
  const last = roots[roots.length - 1]!;
  const scale = f32(first / f32(first - last));
  const alphas = roots.map((root) => f32(f32(root - last) * scale)).map((root) => root * root);
  return alphas.map((alpha, index) => 1 - (index === 0 ? alpha : f32(alpha / alphas[index - 1]!)));
}
