// This module is browser compatible.

/**
 * Pseudo numerical methods: a linear multistep method along the diffusion's own manifold, started by
 * Runge-Kutta steps or by a look-ahead step.
 *
 * Sources: Liu et al. 2022, "Pseudo Numerical Methods for Diffusion Models on Manifolds", equations 9, 11 and
 * 13; diffusers `schedulers/scheduling_pndm.py`.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../errors/pixstage_error.ts";
import { addTrainingNoise } from "./add_noise.ts";
import { alphasCumprod, betaOptions } from "./betas.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { linearCombination, quotient, scaled } from "./elementwise.ts";
import { f32, sqrt32 } from "./float32.ts";
import { MultistepHistory } from "./multistep_history.ts";
import { OrderedScheduler, type StepCall } from "./ordered_scheduler.ts";
import { predictNoise } from "./prediction.ts";
import { roundHalfEven } from "./ranges.ts";
import { type RunOptions, stepsOf, withinTraining } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { leadingSpacingOptions, spreadTimesteps } from "./timestep_spacing.ts";

const NAME = "PNDMScheduler";
/** Number of model calls of the Runge-Kutta start: three steps of four calls. */
const RUNGE_KUTTA_CALLS = 12;
const SIXTH = f32(1 / 6);
const THIRD = f32(1 / 3);

const options = z.object({
  ...betaOptions,
  skip_prk_steps: z.boolean().default(false),
  set_alpha_to_one: z.boolean().default(false),
  prediction_type: z.enum(["epsilon", "v_prediction"]).default("epsilon"),
  ...leadingSpacingOptions,
});

type Config = z.output<typeof options>;

/** The pseudo numerical sampler. */
export class PNDMScheduler extends OrderedScheduler {
  readonly name = NAME;
  readonly #config: Config;
  readonly #alphas: Float32Array;
  readonly #interval: number;
  readonly #history = new MultistepHistory(4);
  #start: Float32Array | undefined;
  #slopes: Float32Array | undefined;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Config, run: RunOptions) {
    const { num_train_timesteps: count } = config;
    const steps = stepsOf(run, count);
    const timesteps = withinTraining(spreadTimesteps(config, steps).map(roundHalfEven), count);
    const interval = Math.floor(count / steps);
    super({
      timesteps: config.skip_prk_steps
        ? withLookAhead(timesteps)
        : withRungeKuttaStart(timesteps, interval >> 1),
    });
    this.#config = config;
    this.#alphas = alphasCumprod(config);
    this.#interval = interval;
  }

  /** @throws {InputError} if the run has a Runge-Kutta start, whose calls depend on one another. */
  override begin(index: number): void {
    if (index > 0 && !this.#config.skip_prk_steps) {
      throw new InputError(
        "invalid_value",
        `Cannot begin ${NAME} in the middle because skip_prk_steps must be true: choose "plms" or another scheduler`,
        { details: { field: "scheduler" } },
      );
    }
    super.begin(index);
  }

  protected advance(call: StepCall): StepResult {
    const isStart = !this.#config.skip_prk_steps && call.index < RUNGE_KUTTA_CALLS;
    return { sample: isStart ? this.#rungeKutta(call) : this.#multistep(call) };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    return addTrainingNoise(this.#alphas, original, noise, timestep);
  }

  protected override memory(): Record<string, Float32Array> {
    return {
      ...this.#history.state(),
      ...(this.#start ? { start: this.#start } : {}),
      ...(this.#slopes ? { slopes: this.#slopes } : {}),
    };
  }

  protected override remember(arrays: Readonly<Record<string, Float32Array>>): void {
    this.#history.restore(arrays);
    this.#start = arrays.start;
    this.#slopes = arrays.slopes;
  }

  /**
   * Makes one of the four calls of a Runge-Kutta step: two in its middle, one at its end, then the weighted
   * sum.
   */
  #rungeKutta({ output, index, sample }: StepCall): Float32Array {
    const stage = index % 4;
    const timestep = this.timesteps[index]!;
    const before = stage % 2 === 0 ? timestep - (this.#interval >> 1) : timestep;
    let slope = output;
    if (stage === 0) {
      this.#slopes = scaled(output, SIXTH);
      this.#history.push(output.slice());
      this.#start = sample.slice();
    } else {
      const sum = linearCombination([1, stage === 3 ? SIXTH : THIRD], [this.#slopes!, output]);
      if (stage === 3) slope = sum;
      this.#slopes = stage === 3 ? undefined : sum;
    }
    return this.#transfer(this.#start!, this.timesteps[index - stage]!, before, slope);
  }

  /**
   * Takes one step of the linear multistep method; without a Runge-Kutta start, the first step is taken
   * twice.
   */
  #multistep({ output, index, sample }: StepCall): Float32Array {
    const timestep = this.timesteps[index]!;
    // The reference counts calls from the beginning of the run, so the second call of a late beginning is
    // special too.
    const count = index - this.begun;
    if (count === 1) {
      const average = quotient(linearCombination([1, 1], [output, this.#history.at(0)]), 2);
      const start = this.#start!;
      this.#start = undefined;
      return this.#transfer(start, timestep + this.#interval, timestep, average);
    }
    if (count === 0) this.#start = sample.slice();
    this.#history.push(output.slice());
    return this.#transfer(sample, timestep, timestep - this.#interval, this.#extrapolate());
  }

  /** Extrapolates by Adams-Bashforth, of the highest order that the number of predictions allows. */
  #extrapolate(): Float32Array {
    const e = Array.from({ length: this.#history.length }, (_, age) => this.#history.at(age));
    switch (e.length) {
      case 1:
        return e[0]!;
      case 2:
        return quotient(linearCombination([3, -1], e), 2);
      case 3:
        return quotient(linearCombination([23, -16, 5], e), 12);
      default:
        return scaled(linearCombination([55, -59, 37, -9], e), f32(1 / 24));
    }
  }

  /** Moves a sample between timesteps along the noise (equation 11). */
  #transfer(sample: Float32Array, timestep: number, before: number, output: Float32Array): Float32Array {
    const alpha = this.#alphas[timestep]!;
    const next = this.#alphaAt(before);
    const beta = f32(1 - alpha);
    const level = { alpha: sqrt32(alpha), sigma: sqrt32(beta) };
    const noise = predictNoise(this.#config.prediction_type, output, sample, level);
    const change = scaled(noise, f32(next - alpha));
    const divisor = f32(
      f32(alpha * sqrt32(f32(1 - next))) + sqrt32(f32(f32(alpha * beta) * next)),
    );
    return linearCombination([sqrt32(f32(next / alpha)), -1], [sample, quotient(change, divisor)]);
  }

  #alphaAt(timestep: number): number {
    if (timestep >= 0) return this.#alphas[timestep]!;
    return this.#config.set_alpha_to_one ? 1 : this.#alphas[0]!;
  }
}

/** Repeats the second timestep: the first step is corrected once the prediction at its end is known. */
function withLookAhead(timesteps: readonly number[]): number[] {
  return timesteps.flatMap((timestep, index) => index === 1 ? [timestep, timestep] : [timestep]);
}

/** Gives the first three steps four calls each: one at the start, two in the middle, one at the end. */
function withRungeKuttaStart(timesteps: readonly number[], half: number): number[] {
  if (timesteps.length < 4) {
    throw new InputError(
      "out_of_range",
      `Cannot lay out ${NAME} because steps must be at least 4 without skip_prk_steps: current value is ${timesteps.length}`,
      { details: { field: "steps" } },
    );
  }
  const start = [0, 1, 2].flatMap((index) => {
    const middle = timesteps[index + 1]! + half;
    return [timesteps[index]!, middle, middle, timesteps[index + 1]!];
  });
  return [...start, ...timesteps.slice(3)];
}

/** The definition of `PNDMScheduler`. */
export const pndm: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: { pndm: {}, plms: { skip_prk_steps: true } },
  description: "Pseudo linear multistep: one of the first fast methods, 30 to 50 steps",
  stochastic: "never",
  givesDenoised: false,
  options,
  support: {},
  build: (config, run) => new PNDMScheduler(config, run),
});
