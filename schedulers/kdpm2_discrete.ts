// This module is browser compatible.

/**
 * DPM-Solver-2 along the probability flow: each step goes halfway, then uses the slope there for the whole
 * step.
 *
 * Sources: Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models", appendix
 * C; Lu et al. 2022, "DPM-Solver", algorithm 1; diffusers `schedulers/scheduling_k_dpm_2_discrete.py` and
 * `scheduling_k_dpm_2_ancestral_discrete.py`.
 *
 * @module
 */

import { addNoiseAt, sigmaAt } from "./add_noise.ts";
import { ancestralSigmas } from "./ancestral_sigmas.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { differenceQuotient, linearCombination } from "./elementwise.ts";
import { f32 } from "./float32.ts";
import {
  type Kdpm2Config,
  kdpm2Options,
  type Kdpm2Schedule,
  kdpm2Schedule,
  levelsOfCalls,
} from "./kdpm2_schedule.ts";
import { OrderedScheduler, savedArray, type StepCall } from "./ordered_scheduler.ts";
import { predictCleanUnscaled } from "./prediction.ts";
import type { RunOptions } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { scaleSample } from "./unscaled_schedule.ts";

/** DPM-Solver-2 with two model calls per step, except the last step. */
abstract class Kdpm2Scheduler extends OrderedScheduler {
  override readonly order = 2;
  readonly #config: Kdpm2Config;
  readonly #schedule: Kdpm2Schedule;
  #start: Float32Array | undefined;

  constructor(config: Kdpm2Config, schedule: Kdpm2Schedule) {
    const { timesteps, levels, initNoiseSigma } = schedule;
    super({ timesteps, sigmas: levelsOfCalls(levels), initNoiseSigma });
    this.#config = config;
    this.#schedule = schedule;
  }

  /** Takes the whole step from its start along the slope. */
  protected abstract leap(
    start: Float32Array,
    slope: Float32Array,
    levels: { readonly sigma: number; readonly next: number },
    noise: () => Float32Array,
  ): Float32Array;

  override scaleModelInput(sample: Float32Array, index: number): Float32Array {
    return scaleSample(sample, this.#levelAt(index));
  }

  protected advance({ output, index, sample, noise }: StepCall): StepResult {
    const { levels, halfway } = this.#schedule;
    const step = index >> 1;
    const [sigma, next] = [levels[step]!, levels[step + 1]!];
    const level = this.#levelAt(index);
    const clean = predictCleanUnscaled(this.#config.prediction_type, output, sample, level);
    const slope = differenceQuotient(sample, clean, level);
    if (!this.#start) {
      this.#start = sample.slice();
      const distance = f32(halfway[step]! - sigma);
      return { sample: linearCombination([1, distance], [sample, slope]), predictedOriginal: clean };
    }
    const start = this.#start;
    this.#start = undefined;
    return { sample: this.leap(start, slope, { sigma, next }, noise), predictedOriginal: clean };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    return addNoiseAt(
      { alpha: 1, sigma: sigmaAt(this.timesteps, this.sigmas!, timestep, this.next) },
      original,
      noise,
    );
  }

  protected override memory(): Record<string, Float32Array> {
    return this.#start ? { start: this.#start } : {};
  }

  protected override remember(arrays: Readonly<Record<string, Float32Array>>): void {
    this.#start = "start" in arrays ? savedArray(arrays, "start") : undefined;
  }

  /** Returns the noise level of the sample at a call. */
  #levelAt(index: number): number {
    const { levels, halfway } = this.#schedule;
    return (index % 2 === 0 ? levels : halfway)[index >> 1]!;
  }
}

const NAME = "KDPM2DiscreteScheduler";

/** The DPM-Solver-2 sampler. */
export class KDPM2DiscreteScheduler extends Kdpm2Scheduler {
  readonly name = NAME;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Kdpm2Config, run: RunOptions) {
    super(config, kdpm2Schedule(config, run, (_, next) => next));
  }

  protected leap(
    start: Float32Array,
    slope: Float32Array,
    { sigma, next }: { readonly sigma: number; readonly next: number },
  ): Float32Array {
    return linearCombination([1, f32(next - sigma)], [start, slope]);
  }
}

const ANCESTRAL_NAME = "KDPM2AncestralDiscreteScheduler";

/** The DPM-Solver-2 sampler with fresh noise at the end of every step except the last. */
export class KDPM2AncestralDiscreteScheduler extends Kdpm2Scheduler {
  readonly name = ANCESTRAL_NAME;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Kdpm2Config, run: RunOptions) {
    super(config, kdpm2Schedule(config, run, (sigma, next) => ancestralSigmas(sigma, next).down));
  }

  protected leap(
    start: Float32Array,
    slope: Float32Array,
    { sigma, next }: { readonly sigma: number; readonly next: number },
    noise: () => Float32Array,
  ): Float32Array {
    const { up, down } = ancestralSigmas(sigma, next);
    return linearCombination([1, f32(down - sigma), up], [start, slope, noise()]);
  }
}

/** The definition of `KDPM2DiscreteScheduler`. */
export const kdpm2Discrete: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: { kdpm2: {}, dpm2: {} },
  description: "DPM-Solver-2 of k-diffusion: two model calls per step, accurate in 10 to 20 steps",
  stochastic: "never",
  givesDenoised: true,
  options: kdpm2Options,
  support: {},
  build: (config, run) => new KDPM2DiscreteScheduler(config, run),
});

/** The definition of `KDPM2AncestralDiscreteScheduler`. */
export const kdpm2AncestralDiscrete: SchedulerDefinition = defineScheduler({
  name: ANCESTRAL_NAME,
  shortNames: { kdpm2_a: {}, dpm2_a: {}, kdpm2_ancestral: {} },
  description: "DPM-Solver-2 with fresh noise at every step: two model calls per step, lively",
  stochastic: "always",
  givesDenoised: true,
  options: kdpm2Options,
  support: {},
  build: (config, run) => new KDPM2AncestralDiscreteScheduler(config, run),
});
