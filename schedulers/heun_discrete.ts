// This module is browser compatible.

/**
 * Heun's method along the probability flow: each step evaluates the slope at both ends and averages, so it
 * takes two model calls.
 *
 * Sources: Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models",
 * algorithm 1; diffusers `schedulers/scheduling_heun_discrete.py`.
 *
 * @module
 */

import { z } from "zod";
import { addNoiseAt, sigmaAt } from "./add_noise.ts";
import { betaOptions } from "./betas.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { differenceQuotient, linearCombination, quotient } from "./elementwise.ts";
import { f32 } from "./float32.ts";
import { OrderedScheduler, savedArray, type StepCall } from "./ordered_scheduler.ts";
import { predictCleanUnscaled } from "./prediction.ts";
import { type RunOptions, stepsOf, withinTraining } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { checkOneSigmaSpacing, sigmaSpacingOptions } from "./sigma_spacing.ts";
import { checkTimestepsAreFree, diffusionPredictionOption } from "./solver_options.ts";
import { clippingOptions, keepWithinBounds } from "./thresholding.ts";
import { spacingOptions, spreadTimesteps } from "./timestep_spacing.ts";
import { trainingSchedule } from "./training_schedule.ts";
import {
  initialSigma,
  scaleSample,
  sigmasOfTimesteps,
  type UnscaledSchedule,
  unscaledSchedule,
} from "./unscaled_schedule.ts";

const NAME = "HeunDiscreteScheduler";

const options = z
  .object({
    ...betaOptions,
    beta_start: betaOptions.beta_start.unwrap().default(0.00085),
    beta_end: betaOptions.beta_end.unwrap().default(0.012),
    beta_schedule: z.enum(["linear", "scaled_linear", "squaredcos_cap_v2", "exp"]).default("linear"),
    prediction_type: diffusionPredictionOption,
    ...sigmaSpacingOptions,
    ...clippingOptions,
    ...spacingOptions,
  })
  .superRefine(checkOneSigmaSpacing);

type Config = z.output<typeof options>;

/** Heun's method along the probability flow. */
export class HeunDiscreteScheduler extends OrderedScheduler {
  readonly name = NAME;
  override readonly order = 2;
  readonly #config: Config;
  #ahead: { readonly start: Float32Array; readonly derivative: Float32Array } | undefined;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Config, run: RunOptions) {
    const { timesteps, sigmas } = layOut(config, run);
    super({ timesteps, sigmas, initNoiseSigma: initialSigma(sigmas, config.timestep_spacing) });
    this.#config = config;
  }

  override scaleModelInput(sample: Float32Array, index: number): Float32Array {
    return scaleSample(sample, this.sigmas![index]!);
  }

  protected advance({ output, index, sample }: StepCall): StepResult {
    const { prediction_type: type } = this.#config;
    const sigma = this.sigmas![index]!;
    const clean = keepWithinBounds(predictCleanUnscaled(type, output, sample, sigma), this.#config);
    const derivative = differenceQuotient(sample, clean, sigma);
    if (!this.#ahead) {
      this.#ahead = { start: sample.slice(), derivative };
      const distance = f32(this.sigmas![index + 1]! - sigma);
      return { sample: linearCombination([1, distance], [sample, derivative]), predictedOriginal: clean };
    }
    const { start, derivative: first } = this.#ahead;
    this.#ahead = undefined;
    const average = quotient(linearCombination([1, 1], [first, derivative]), 2);
    const distance = f32(sigma - this.sigmas![index - 1]!);
    return { sample: linearCombination([1, distance], [start, average]), predictedOriginal: clean };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    return addNoiseAt(
      { alpha: 1, sigma: sigmaAt(this.timesteps, this.sigmas!, timestep, this.next) },
      original,
      noise,
    );
  }

  protected override memory(): Record<string, Float32Array> {
    return { ...this.#ahead };
  }

  protected override remember(arrays: Readonly<Record<string, Float32Array>>): void {
    this.#ahead = "start" in arrays
      ? { start: savedArray(arrays, "start"), derivative: savedArray(arrays, "derivative") }
      : undefined;
  }
}

/**
 * Lays out the run. Every level except the first and the last appears twice: once per model call of a step.
 */
function layOut(config: Config, run: RunOptions): UnscaledSchedule {
  const { num_train_timesteps: count } = config;
  const training = trainingSchedule(config);
  if (run.timesteps) checkTimestepsAreFree(NAME, config);
  const spread = run.timesteps
    ? withinTraining(run.timesteps, count, { integers: false, beyond: true })
    : spreadTimesteps(config, stepsOf(run, count));
  const visited = spread.map(f32);
  const { timesteps, sigmas } = unscaledSchedule(
    config,
    training,
    visited,
    sigmasOfTimesteps(visited, training),
  );
  return { timesteps: firstOnceRestTwice(timesteps), sigmas: [...firstOnceRestTwice(sigmas), 0] };
}

function firstOnceRestTwice(values: readonly number[]): number[] {
  return values.flatMap((value, index) => index === 0 ? [value] : [value, value]);
}

/** The definition of `HeunDiscreteScheduler`. */
export const heunDiscrete: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: { heun: {} },
  description: "Heun's method: two model calls per step, accurate in 10 to 20 steps",
  stochastic: "never",
  givesDenoised: true,
  options,
  support: { timesteps: true },
  build: (config, run) => new HeunDiscreteScheduler(config, run),
});
