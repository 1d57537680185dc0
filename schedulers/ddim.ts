// This module is browser compatible.

/**
 * DDIM: runs the diffusion backwards in few steps and adds noise at each step in proportion to `eta`.
 *
 * Sources: Song et al. 2020, "Denoising Diffusion Implicit Models", equations 12 and 16; diffusers
 * `schedulers/scheduling_ddim.py`.
 *
 * @module
 */

import { z } from "zod";
import { addTrainingNoise } from "./add_noise.ts";
import { alphasCumprod } from "./betas.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { diffusionOptions } from "./diffusion_options.ts";
import { linearCombination } from "./elementwise.ts";
import { f32, sqrt32 } from "./float32.ts";
import { OrderedScheduler, type StepCall } from "./ordered_scheduler.ts";
import { predictClean, predictNoise } from "./prediction.ts";
import { roundHalfEven } from "./ranges.ts";
import { type RunOptions, stepsOf, withinTraining } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { trainingLevel } from "./signal_level.ts";
import { keepWithinBounds } from "./thresholding.ts";
import { spreadTimesteps } from "./timestep_spacing.ts";

const NAME = "DDIMScheduler";

const options = z.object({
  ...diffusionOptions,
  clip_sample: z.boolean().default(true),
  set_alpha_to_one: z.boolean().default(true),
});

type Config = z.output<typeof options>;

/** The DDIM sampler. */
export class DDIMScheduler extends OrderedScheduler {
  readonly name = NAME;
  readonly #config: Config;
  readonly #alphas: Float32Array;
  readonly #interval: number;
  readonly #eta: number;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Config, run: RunOptions) {
    const { num_train_timesteps: count } = config;
    const steps = stepsOf(run, count);
    super({ timesteps: withinTraining(spreadTimesteps(config, steps).map(roundHalfEven), count) });
    this.#config = config;
    this.#alphas = alphasCumprod(config);
    this.#interval = Math.floor(count / steps);
    this.#eta = f32(run.eta ?? 0);
  }

  protected advance({ output, index, sample, noise }: StepCall): StepResult {
    const { prediction_type: type } = this.#config;
    const timestep = this.timesteps[index]!;
    const alpha = this.#alphas[timestep]!;
    const next = this.#alphaBefore(timestep);
    const level = trainingLevel(alpha);
    const clean = keepWithinBounds(predictClean(type, output, sample, level), this.#config);
    const direction = predictNoise(type, output, sample, level);
    const deviation = f32(this.#eta * sqrt32(variance(alpha, next)));
    const coefficients = [sqrt32(next), sqrt32(f32(f32(1 - next) - f32(deviation * deviation)))];
    const terms = [clean, direction];
    if (this.#eta > 0) {
      coefficients.push(deviation);
      terms.push(noise());
    }
    return { sample: linearCombination(coefficients, terms), predictedOriginal: clean };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    return addTrainingNoise(this.#alphas, original, noise, timestep);
  }

  #alphaBefore(timestep: number): number {
    const before = timestep - this.#interval;
    if (before >= 0) return this.#alphas[before]!;
    return this.#config.set_alpha_to_one ? 1 : this.#alphas[0]!;
  }
}

/** Returns the variance that DDPM adds between two timesteps. */
function variance(alpha: number, next: number): number {
  return f32(f32(f32(1 - next) / f32(1 - alpha)) * f32(1 - f32(alpha / next)));
}

/** The definition of `DDIMScheduler`. */
export const ddim: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: { ddim: {}, ddim_trailing: { timestep_spacing: "trailing" } },
  description: "DDIM: plain and exact in 30 to 50 steps; eta adds noise at each step",
  stochastic: "sometimes",
  givesDenoised: true,
  options,
  support: { eta: true },
  build: (config, run) => new DDIMScheduler(config, run),
});
