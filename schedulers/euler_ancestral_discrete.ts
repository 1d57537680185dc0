// This module is browser compatible.

/**
 * Euler's method with fresh noise at every step.
 *
 * Sources: Song et al. 2020, "Score-Based Generative Modeling through Stochastic Differential Equations",
 * appendix F (ancestral sampling); diffusers `schedulers/scheduling_euler_ancestral_discrete.py`.
 *
 * @module
 */

import { z } from "zod";
import { addNoiseAt, sigmaAt } from "./add_noise.ts";
import { ancestralSigmas } from "./ancestral_sigmas.ts";
import { betaOptions } from "./betas.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { differenceQuotient, linearCombination } from "./elementwise.ts";
import { f32 } from "./float32.ts";
import { OrderedScheduler, type StepCall } from "./ordered_scheduler.ts";
import { predictCleanUnscaled } from "./prediction.ts";
import { type RunOptions, stepsOf } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { spacingOptions, spreadTimesteps } from "./timestep_spacing.ts";
import { trainingSchedule } from "./training_schedule.ts";
import { initialSigma, scaleSample, sigmasOfTimesteps } from "./unscaled_schedule.ts";

const NAME = "EulerAncestralDiscreteScheduler";

const options = z.object({
  ...betaOptions,
  prediction_type: z.enum(["epsilon", "v_prediction"]).default("epsilon"),
  ...spacingOptions,
  rescale_betas_zero_snr: z.boolean().default(false),
});

type Config = z.output<typeof options>;

/** Euler's method with fresh noise at every step. */
export class EulerAncestralDiscreteScheduler extends OrderedScheduler {
  readonly name = NAME;
  readonly #config: Config;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Config, run: RunOptions) {
    const timesteps = spreadTimesteps(config, stepsOf(run, config.num_train_timesteps)).map(f32);
    const sigmas = [...sigmasOfTimesteps(timesteps, trainingSchedule(config)).map(f32), 0];
    super({ timesteps, sigmas, initNoiseSigma: initialSigma(sigmas, config.timestep_spacing) });
    this.#config = config;
  }

  override scaleModelInput(sample: Float32Array, index: number): Float32Array {
    return scaleSample(sample, this.sigmas![index]!);
  }

  protected advance({ output, index, sample, noise }: StepCall): StepResult {
    const [sigma, next] = [this.sigmas![index]!, this.sigmas![index + 1]!];
    const clean = predictCleanUnscaled(this.#config.prediction_type, output, sample, sigma);
    const derivative = differenceQuotient(sample, clean, sigma);
    const { up, down } = ancestralSigmas(sigma, next);
    return {
      sample: linearCombination([1, f32(down - sigma), up], [sample, derivative, noise()]),
      predictedOriginal: clean,
    };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    return addNoiseAt(
      { alpha: 1, sigma: sigmaAt(this.timesteps, this.sigmas!, timestep, this.next) },
      original,
      noise,
    );
  }
}

/** The definition of `EulerAncestralDiscreteScheduler`. */
export const eulerAncestralDiscrete: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: { euler_a: {}, euler_ancestral: {} },
  description: "Euler's method with fresh noise at every step: lively, never converges to one picture",
  stochastic: "always",
  givesDenoised: true,
  options,
  support: {},
  build: (config, run) => new EulerAncestralDiscreteScheduler(config, run),
});
