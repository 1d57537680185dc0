// This module is browser compatible.

/**
 * Sampling of a trajectory consistency model: every step predicts a less noisy sample and adds noise up to
 * the next timestep.
 *
 * Sources: Zheng et al. 2024, "Trajectory Consistency Distillation", algorithm 4 (strategic stochastic
 * sampling); diffusers `schedulers/scheduling_tcd.py`.
 *
 * @module
 */

import { z } from "zod";
import { addTrainingNoise } from "./add_noise.ts";
import { alphasCumprod, betaOptions } from "./betas.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { distilledTimesteps, originalStepsOption } from "./distilled_timesteps.ts";
import { linearCombination } from "./elementwise.ts";
import { f32, sqrt32 } from "./float32.ts";
import { OrderedScheduler, type StepCall } from "./ordered_scheduler.ts";
import { predictClean, predictNoise } from "./prediction.ts";
import type { RunOptions } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { trainingLevel } from "./signal_level.ts";
import { diffusionPredictionOption } from "./solver_options.ts";

const NAME = "TCDScheduler";

const options = z.object({
  ...betaOptions,
  beta_start: betaOptions.beta_start.unwrap().default(0.00085),
  beta_end: betaOptions.beta_end.unwrap().default(0.012),
  beta_schedule: betaOptions.beta_schedule.unwrap().default("scaled_linear"),
  original_inference_steps: originalStepsOption,
  prediction_type: diffusionPredictionOption,
  rescale_betas_zero_snr: z.boolean().default(false),
});

type Config = z.output<typeof options>;

/**
 * The trajectory consistency sampler. `predictedOriginal` is the sample predicted at the less noisy timestep,
 * as in the reference; it is clean only at the last step.
 */
export class TCDScheduler extends OrderedScheduler {
  readonly name = NAME;
  readonly #config: Config;
  readonly #alphas: Float32Array;
  readonly #eta: number;

  /** @param config The parsed options. @param run The run to lay out; its `eta` is the paper's gamma. */
  constructor(config: Config, run: RunOptions) {
    super({ timesteps: distilledTimesteps(NAME, config, run) });
    this.#config = config;
    this.#alphas = alphasCumprod(config);
    this.#eta = run.eta ?? 0;
  }

  protected advance({ output, index, sample, noise }: StepCall): StepResult {
    const { prediction_type: type } = this.#config;
    const level = trainingLevel(this.#alphas[this.timesteps[index]!]!);
    const next = this.timesteps[index + 1] ?? 0;
    const lower = this.#alphas[Math.floor(f32(f32(1 - this.#eta) * next))]!;
    const { alpha, sigma } = trainingLevel(lower);
    const noised = linearCombination(
      [alpha, sigma],
      [predictClean(type, output, sample, level), predictNoise(type, output, sample, level)],
    );
    if (this.#eta === 0 || index === this.timesteps.length - 1) {
      return { sample: noised, predictedOriginal: noised };
    }
    const ratio = f32(this.#alphas[next]! / lower);
    return {
      sample: linearCombination([sqrt32(ratio), sqrt32(f32(1 - ratio))], [noised, noise()]),
      predictedOriginal: noised,
    };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    return addTrainingNoise(this.#alphas, original, noise, timestep);
  }
}

/** The definition of `TCDScheduler`. */
export const tcd: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: { tcd: {} },
  description: "For trajectory consistency models (TCD LoRAs): pictures in 2 to 8 steps, noisier with eta",
  stochastic: "sometimes",
  givesDenoised: true,
  options,
  support: { timesteps: true, eta: true },
  build: (config, run) => new TCDScheduler(config, run),
});
