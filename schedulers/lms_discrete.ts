// This module is browser compatible.

/**
 * The linear multistep method: each step integrates the polynomial through the slopes of the latest four
 * steps.
 *
 * Sources: Hairer, Nørsett and Wanner, "Solving Ordinary Differential Equations I", section III.1 (Adams
 * methods); diffusers `schedulers/scheduling_lms_discrete.py`.
 *
 * @module
 */

import { z } from "zod";
import { addNoiseAt, sigmaAt } from "./add_noise.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { differenceQuotient, linearCombination } from "./elementwise.ts";
import { f32 } from "./float32.ts";
import { MultistepHistory } from "./multistep_history.ts";
import { OrderedScheduler, type StepCall } from "./ordered_scheduler.ts";
import { predictCleanUnscaled } from "./prediction.ts";
import type { RunOptions } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { checkOneSigmaSpacing } from "./sigma_spacing.ts";
import { sigmaWalk, sigmaWalkOptions } from "./sigma_walk.ts";
import { diffusionPredictionOption } from "./solver_options.ts";
import { trainingSchedule } from "./training_schedule.ts";
import { initialSigma, scaleSample } from "./unscaled_schedule.ts";

const NAME = "LMSDiscreteScheduler";
/** The number of slopes that a step uses. */
const ORDER = 4;

const options = z
  .object({ ...sigmaWalkOptions, prediction_type: diffusionPredictionOption })
  .superRefine(checkOneSigmaSpacing);

type Config = z.output<typeof options>;

/** The linear multistep method of order 4. */
export class LMSDiscreteScheduler extends OrderedScheduler {
  readonly name = NAME;
  readonly #config: Config;
  readonly #slopes = new MultistepHistory(ORDER);

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Config, run: RunOptions) {
    const { timesteps, sigmas } = sigmaWalk(config, trainingSchedule(config), run);
    super({
      timesteps,
      sigmas: [...sigmas, 0],
      initNoiseSigma: initialSigma(sigmas, config.timestep_spacing),
    });
    this.#config = config;
  }

  override scaleModelInput(sample: Float32Array, index: number): Float32Array {
    return scaleSample(sample, this.sigmas![index]!);
  }

  protected advance({ output, index, sample }: StepCall): StepResult {
    const sigma = this.sigmas![index]!;
    const clean = predictCleanUnscaled(this.#config.prediction_type, output, sample, sigma);
    this.#slopes.push(differenceQuotient(sample, clean, sigma));
    const nodes = Array.from({ length: Math.min(index + 1, ORDER) }, (_, age) => this.sigmas![index - age]!);
    // A run that begins later has nodes before its first slope; the reference omits those from the sum.
    const ages = Array.from({ length: this.#slopes.length }, (_, age) => age);
    const weights = ages.map((age) => f32(integrateBasis(nodes, age, this.sigmas![index + 1]!)));
    const change = linearCombination(weights, ages.map((age) => this.#slopes.at(age)));
    return { sample: linearCombination([1, 1], [sample, change]), predictedOriginal: clean };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    return addNoiseAt(
      { alpha: 1, sigma: sigmaAt(this.timesteps, this.sigmas!, timestep, this.next) },
      original,
      noise,
    );
  }

  protected override memory(): Record<string, Float32Array> {
    return this.#slopes.state();
  }

  protected override remember(arrays: Readonly<Record<string, Float32Array>>): void {
    this.#slopes.restore(arrays);
  }
}

/**
 * Returns the integral, from the first node to `end`, of the polynomial that is 1 at one node and 0 at the
 * others. Two-point Gauss quadrature is exact up to degree 3, the degree that four nodes give.
 */
function integrateBasis(nodes: readonly number[], one: number, end: number): number {
  const start = nodes[0]!;
  const half = (end - start) / 2;
  const offset = half / Math.sqrt(3);
  const basis = (at: number): number =>
    nodes.reduce(
      (product, node, index) => index === one ? product : product * (at - node) / (nodes[one]! - node),
      1,
    );
  return half * (basis(start + half - offset) + basis(start + half + offset));
}

/** The definition of `LMSDiscreteScheduler`. */
export const lmsDiscrete: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: { lms: {} },
  description: "Linear multistep method: uses the last four slopes, good in 20 to 30 steps",
  stochastic: "never",
  givesDenoised: true,
  options,
  support: {},
  build: (config, run) => new LMSDiscreteScheduler(config, run),
});
