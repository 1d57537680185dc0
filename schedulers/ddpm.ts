// This module is browser compatible.

/**
 * DDPM: runs the diffusion of training backwards, with fresh noise at each step.
 *
 * Sources: Ho et al. 2020, "Denoising Diffusion Probabilistic Models", equations 6 and 7, algorithm 2;
 * diffusers `schedulers/scheduling_ddpm.py`.
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
import { predictClean } from "./prediction.ts";
import { roundHalfEven } from "./ranges.ts";
import { type RunOptions, stepsOf, withinTraining } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { trainingLevel } from "./signal_level.ts";
import { keepWithinBounds } from "./thresholding.ts";
import { spreadTimesteps } from "./timestep_spacing.ts";

const NAME = "DDPMScheduler";
/** The reference's lower bound of a variance, because it takes the logarithm. */
const SMALLEST_VARIANCE = f32(1e-20);

const options = z.object({
  ...diffusionOptions,
  beta_schedule: z.enum(["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"]).default("linear"),
  /**
   * The variance of a step's noise. PixArt's pipelines drop a learned variance, so no scheduler ever sees
   * one.
   */
  variance_type: z.enum(["fixed_small", "fixed_small_log", "fixed_large"]).nullable().default("fixed_small"),
  clip_sample: z.boolean().default(true),
});

type Config = z.output<typeof options>;

/** The DDPM sampler. */
export class DDPMScheduler extends OrderedScheduler {
  readonly name = NAME;
  readonly #config: Config;
  readonly #alphas: Float32Array;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Config, run: RunOptions) {
    super({ timesteps: layOut(config, run) });
    this.#config = config;
    this.#alphas = alphasCumprod(config);
  }

  protected advance({ output, index, sample, noise }: StepCall): StepResult {
    const timestep = this.timesteps[index]!;
    const next = this.timesteps[index + 1];
    const alpha = this.#alphas[timestep]!;
    const alphaNext = next === undefined ? 1 : this.#alphas[next]!;
    const beta = f32(1 - alpha);
    const betaNext = f32(1 - alphaNext);
    const stepAlpha = f32(alpha / alphaNext);
    const stepBeta = f32(1 - stepAlpha);

    const clean = keepWithinBounds(
      predictClean(this.#config.prediction_type, output, sample, trainingLevel(alpha)),
      this.#config,
    );
    const coefficients = [
      f32(f32(sqrt32(alphaNext) * stepBeta) / beta),
      f32(f32(sqrt32(stepAlpha) * betaNext) / beta),
    ];
    const terms = [clean, sample];
    if (timestep > 0) {
      coefficients.push(this.#deviation(f32(f32(betaNext / beta) * stepBeta), stepBeta));
      terms.push(noise());
    }
    return { sample: linearCombination(coefficients, terms), predictedOriginal: clean };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    return addTrainingNoise(this.#alphas, original, noise, timestep);
  }

  /**
   * Returns the standard deviation of a step's noise: from its posterior variance, or from its larger beta.
   */
  #deviation(posterior: number, beta: number): number {
    const variance = Math.max(posterior, SMALLEST_VARIANCE);
    switch (this.#config.variance_type) {
      // The configurations of other schedulers contain null.
      case null:
      case "fixed_small":
        return sqrt32(variance);
      case "fixed_small_log":
        return f32(Math.exp(f32(0.5 * f32(Math.log(variance)))));
      case "fixed_large":
        return sqrt32(beta);
    }
  }
}

function layOut(config: Config, run: RunOptions): number[] {
  const { num_train_timesteps: count } = config;
  const timesteps = run.timesteps ?? spreadTimesteps(config, stepsOf(run, count)).map(roundHalfEven);
  return withinTraining(timesteps, count);
}

/** The definition of `DDPMScheduler`. */
export const ddpm: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: { ddpm: {} },
  description: "DDPM: fresh noise at each step, for hundreds of steps; one step at 400 for PixArt-DMD",
  stochastic: "always",
  givesDenoised: true,
  options,
  support: { timesteps: true },
  build: (config, run) => new DDPMScheduler(config, run),
});
