// This module is browser compatible.

/**
 * Euler's method along the probability flow.
 *
 * Sources: Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models", algorithm
 * 2 without churn; diffusers `schedulers/scheduling_euler_discrete.py`.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../errors/pixstage_error.ts";
import { addNoiseAt, sigmaAt } from "./add_noise.ts";
import { betaOptions } from "./betas.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { differenceQuotient, linearCombination } from "./elementwise.ts";
import { exp32, f32, log32 } from "./float32.ts";
import { OrderedScheduler, type StepCall } from "./ordered_scheduler.ts";
import { predictCleanUnscaled } from "./prediction.ts";
import { linspace32 } from "./ranges.ts";
import { type RunOptions, stepsOf, withinTraining } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { ScheduleError } from "./scheduler_error.ts";
import {
  checkOneSigmaSpacing,
  sigmaSpacingOptions,
  sigmaSpacingsIn,
  timestepOfSigma32,
} from "./sigma_spacing.ts";
import { checkTimestepsAreFree, diffusionPredictionOption, finalSigmasOption } from "./solver_options.ts";
import { spacingOptions, spreadTimesteps } from "./timestep_spacing.ts";
import { trainingSchedule } from "./training_schedule.ts";
import {
  initialSigma,
  scaleSample,
  sigmasOfTimesteps,
  type UnscaledSchedule,
  unscaledSchedule,
} from "./unscaled_schedule.ts";

const NAME = "EulerDiscreteScheduler";

const options = z
  .object({
    ...betaOptions,
    prediction_type: diffusionPredictionOption,
    interpolation_type: z.enum(["linear", "log_linear"]).default("linear"),
    ...sigmaSpacingOptions,
    sigma_min: z.number().gt(0).nullable().default(null),
    sigma_max: z.number().gt(0).nullable().default(null),
    ...spacingOptions,
    timestep_type: z.enum(["discrete", "continuous"]).default("discrete"),
    rescale_betas_zero_snr: z.boolean().default(false),
    final_sigmas_type: finalSigmasOption,
  })
  .superRefine(checkOneSigmaSpacing);

type Config = z.output<typeof options>;

/** Euler's method along the probability flow. */
export class EulerDiscreteScheduler extends OrderedScheduler {
  readonly name = NAME;
  readonly #config: Config;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Config, run: RunOptions) {
    const { timesteps, sigmas } = layOut(config, run);
    const initNoiseSigma = initialSigma(sigmas, config.timestep_spacing);
    super({ timesteps: timestepsForModel(config, timesteps, sigmas), sigmas, initNoiseSigma });
    this.#config = config;
  }

  override scaleModelInput(sample: Float32Array, index: number): Float32Array {
    return scaleSample(sample, this.sigmas![index]!);
  }

  protected advance({ output, index, sample }: StepCall): StepResult {
    const [sigma, next] = [this.sigmas![index]!, this.sigmas![index + 1]!];
    const clean = predictCleanUnscaled(this.#config.prediction_type, output, sample, sigma);
    const derivative = differenceQuotient(sample, clean, sigma);
    return {
      sample: linearCombination([1, f32(next - sigma)], [sample, derivative]),
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

function layOut(config: Config, run: RunOptions): UnscaledSchedule {
  const training = trainingSchedule(config);
  const { sigmas: all, logSigmas } = training;
  if (run.sigmas) {
    const sigmas = run.sigmas.map(f32);
    if (sigmas.length < 2) {
      throw new InputError(
        "out_of_range",
        `Cannot lay out ${NAME} because it needs at least 2 sigmas: current number is 1`,
        { details: { field: "sigmas" } },
      );
    }
    return {
      sigmas,
      timesteps: sigmas.slice(0, -1).map((sigma) => f32(timestepOfSigma32(sigma, logSigmas))),
    };
  }
  if (run.timesteps) checkTimestepsAreFree(NAME, config);
  if (run.timesteps && isContinuous(config)) {
    throw new ScheduleError(
      `Cannot lay out ${NAME} by timesteps because timestep_type must be discrete: it is continuous`,
      "timesteps",
    );
  }
  const { num_train_timesteps: count } = config;
  const timesteps = run.timesteps
    ? withinTraining(run.timesteps, count, { integers: false, beyond: true }).map(f32)
    : spreadTimesteps(config, stepsOf(run, count)).map(f32);
  const levels = config.interpolation_type === "linear"
    ? sigmasOfTimesteps(timesteps, training)
    : Array.from(linspace32(logSigmas[all.length - 1]!, logSigmas[0]!, timesteps.length + 1), exp32);
  const { timesteps: visited, sigmas } = unscaledSchedule(config, training, timesteps, levels);
  const end = config.final_sigmas_type === "zero" ? 0 : all[0]!;
  // Log-linear levels outnumber timesteps by one, unless a spacing option replaces them. In continuous
  // time, every level is a timestep, so the last level adds a call; in discrete time, the run ends there.
  const spare = sigmaSpacingsIn(config).length === 0 ? levels.slice(timesteps.length).map(f32) : [];
  const ends = isContinuous(config) ? [...spare, end] : [spare[0] ?? end];
  return { timesteps: visited, sigmas: [...sigmas, ...ends] };
}

/**
 * Returns the timesteps that the model expects; one trained on continuous time expects a quarter of log
 * sigma.
 */
function timestepsForModel(
  config: Config,
  timesteps: readonly number[],
  sigmas: readonly number[],
): readonly number[] {
  if (!isContinuous(config)) return timesteps;
  return sigmas.slice(0, -1).map((sigma) => f32(0.25 * log32(sigma)));
}

function isContinuous(config: Config): boolean {
  return config.timestep_type === "continuous" && config.prediction_type === "v_prediction";
}

/** The definition of `EulerDiscreteScheduler`. */
export const eulerDiscrete: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: { euler: {} },
  description: "Euler's method along the probability flow: simple, and good in 20 to 30 steps",
  stochastic: "never",
  givesDenoised: true,
  options,
  support: { timesteps: true, sigmas: true },
  build: (config, run) => new EulerDiscreteScheduler(config, run),
});
