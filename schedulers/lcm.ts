// This module is browser compatible.

/**
 * Sampling of a latent consistency model: every step predicts the clean sample and adds noise to it again.
 *
 * Sources: Luo et al. 2023, "Latent Consistency Models", algorithm 3; diffusers
 * `schedulers/scheduling_lcm.py`.
 *
 * @module
 */

import { z } from "zod";
import { addTrainingNoise } from "./add_noise.ts";
import { alphasCumprod, betaOptions } from "./betas.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { diffusionOptions } from "./diffusion_options.ts";
import { distilledTimesteps, originalStepsOption } from "./distilled_timesteps.ts";
import { linearCombination } from "./elementwise.ts";
import { f32, sqrt32 } from "./float32.ts";
import { OrderedScheduler, type StepCall } from "./ordered_scheduler.ts";
import { predictClean } from "./prediction.ts";
import type { RunOptions } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { trainingLevel } from "./signal_level.ts";
import { keepWithinBounds } from "./thresholding.ts";

const NAME = "LCMScheduler";
/** The variance of the data; it determines how soon the boundary condition takes over. */
const DATA_VARIANCE = 0.25;

const options = z.object({
  ...diffusionOptions,
  beta_start: betaOptions.beta_start.unwrap().default(0.00085),
  beta_end: betaOptions.beta_end.unwrap().default(0.012),
  beta_schedule: betaOptions.beta_schedule.unwrap().default("scaled_linear"),
  original_inference_steps: originalStepsOption,
  set_alpha_to_one: z.boolean().default(true),
  timestep_scaling: z.number().default(10),
});

type Config = z.output<typeof options>;

/** The latent consistency sampler. `predictedOriginal` is the clean sample after the boundary condition. */
export class LCMScheduler extends OrderedScheduler {
  readonly name = NAME;
  readonly #config: Config;
  readonly #alphas: Float32Array;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Config, run: RunOptions) {
    super({ timesteps: distilledTimesteps(NAME, config, run) });
    this.#config = config;
    this.#alphas = alphasCumprod(config);
  }

  protected advance({ output, index, sample, noise }: StepCall): StepResult {
    const timestep = this.timesteps[index]!;
    const clean = keepWithinBounds(
      predictClean(this.#config.prediction_type, output, sample, trainingLevel(this.#alphas[timestep]!)),
      this.#config,
    );
    const { skip, out } = boundaryWeights(timestep, this.#config.timestep_scaling);
    const denoised = linearCombination([out, skip], [clean, sample]);
    const next = this.timesteps[index + 1];
    if (next === undefined) return { sample: denoised, predictedOriginal: denoised };
    const { alpha, sigma } = trainingLevel(this.#alphas[next]!);
    return {
      sample: linearCombination([alpha, sigma], [denoised, noise()]),
      predictedOriginal: denoised,
    };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    return addTrainingNoise(this.#alphas, original, noise, timestep);
  }
}

/**
 * Returns the weights of the sample and of the prediction; at timestep 0 they reproduce the sample itself.
 */
function boundaryWeights(timestep: number, scaling: number): { skip: number; out: number } {
  const scaled = f32(timestep * f32(scaling));
  const total = f32(f32(scaled * scaled) + DATA_VARIANCE);
  return { skip: f32(f32(1 / total) * DATA_VARIANCE), out: f32(scaled / sqrt32(total)) };
}

/** The definition of `LCMScheduler`. */
export const lcm: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: { lcm: {} },
  description: "Only for consistency models (PixArt-LCM, DMD): pictures in 1 to 8 steps",
  stochastic: "always",
  givesDenoised: true,
  options,
  support: { timesteps: true },
  build: (config, run) => new LCMScheduler(config, run),
});
