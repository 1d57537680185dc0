// This module is browser compatible.

/**
 * Euler's method along a flow from noise to image.
 *
 * Sources: Esser et al. 2024, "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis";
 * diffusers `schedulers/scheduling_flow_match_euler_discrete.py`.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../errors/pixstage_error.ts";
import { addNoiseAt, sigmaAt } from "./add_noise.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { linearCombination } from "./elementwise.ts";
import { shiftSigma, shiftSigmaBy, stretchToTerminal } from "./flow_sigmas.ts";
import { f32 } from "./float32.ts";
import { OrderedScheduler, type StepCall } from "./ordered_scheduler.ts";
import { predictClean } from "./prediction.ts";
import { linspace } from "./ranges.ts";
import { muOf, type RunOptions } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { checkOneSigmaSpacing, sigmaSpacingOptions, spacedSigmas } from "./sigma_spacing.ts";

const NAME = "FlowMatchEulerDiscreteScheduler";

const options = z
  .object({
    num_train_timesteps: z.int().min(1).default(1000),
    shift: z.number().gt(0).default(1),
    use_dynamic_shifting: z.boolean().default(false),
    base_shift: z.number().nullable().default(0.5),
    max_shift: z.number().nullable().default(1.15),
    base_image_seq_len: z.int().nullable().default(256),
    max_image_seq_len: z.int().nullable().default(4096),
    invert_sigmas: z.boolean().default(false),
    shift_terminal: z.number().gt(0).lt(1).nullable().default(null),
    ...sigmaSpacingOptions,
    time_shift_type: z.enum(["exponential", "linear"]).default("exponential"),
    stochastic_sampling: z.boolean().default(false),
  })
  .superRefine(checkOneSigmaSpacing);

type Config = z.output<typeof options>;

/** Euler's method along a flow. */
export class FlowMatchEulerDiscreteScheduler extends OrderedScheduler {
  readonly name = NAME;
  readonly #isStochastic: boolean;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Config, run: RunOptions) {
    super(layOut(config, run));
    this.#isStochastic = config.stochastic_sampling;
  }

  protected advance({ output, index, sample, noise }: StepCall): StepResult {
    const [sigma, next] = [this.sigmas![index]!, this.sigmas![index + 1]!];
    if (!this.#isStochastic) {
      return { sample: linearCombination([1, f32(next - sigma)], [sample, output]) };
    }
    const clean = predictClean("flow_prediction", output, sample, { alpha: 1, sigma });
    return {
      sample: linearCombination([f32(1 - next), next], [clean, noise()]),
      predictedOriginal: clean,
    };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    const sigma = sigmaAt(this.timesteps, this.sigmas!, timestep, this.next);
    return addNoiseAt({ alpha: f32(1 - sigma), sigma }, original, noise);
  }
}

function layOut(config: Config, run: RunOptions): { timesteps: number[]; sigmas: number[] } {
  const { num_train_timesteps: count } = config;
  const mu = muOf(NAME, config.use_dynamic_shifting, run);
  const sigmas = levels(config, run, mu).map(f32);
  const timesteps = run.timesteps?.map(f32) ?? sigmas.map((sigma) => f32(sigma * count));
  if (!config.invert_sigmas) return { timesteps, sigmas: [...sigmas, 0] };
  const inverted = sigmas.map((sigma) => f32(1 - sigma));
  return { timesteps: inverted.map((sigma) => f32(sigma * count)), sigmas: [...inverted, 1] };
}

/** Returns the run's noise levels, shifted, stretched and spaced; in float32 if the run provides its own. */
function levels(config: Config, run: RunOptions, mu: number | undefined): number[] {
  const { level: given, round } = givenLevels(config, run);
  const shifted = given.map((sigma) =>
    mu === undefined
      ? shiftSigma(sigma, config.shift, round)
      : shiftSigmaBy(sigma, mu, config.time_shift_type, round)
  );
  const { shift_terminal: terminal } = config;
  const stretched = terminal === null ? shifted : stretchToTerminal(shifted, terminal, round);
  const [high, low] = [stretched[0]!, stretched[stretched.length - 1]!];
  return spacedSigmas(config, high, low, stretched.length) ?? stretched;
}

/** Returns the noise levels before the shift, and the function that rounds them. */
function givenLevels(config: Config, run: RunOptions): { level: number[]; round: (x: number) => number } {
  const { num_train_timesteps: count } = config;
  const list = run.sigmas ?? run.timesteps;
  const limit = run.sigmas ? 1 : count;
  if (list && list[0]! > limit) {
    const what = run.sigmas ? "sigmas" : "timesteps";
    throw new InputError(
      "out_of_range",
      `Cannot lay out ${NAME} because ${what} must be at most ${limit}: current value is ${list[0]}`,
      { details: { field: what } },
    );
  }
  if (run.sigmas) return { level: run.sigmas.map(f32), round: f32 };
  if (run.timesteps) {
    return { level: run.timesteps.map((timestep) => f32(f32(timestep) / count)), round: f32 };
  }
  const [high, low] = trainingEnds(config);
  return {
    level: linspace(high * count, low * count, run.steps!).map((timestep) => timestep / count),
    round: Number,
  };
}

/** Returns the highest and the lowest noise level of training. */
function trainingEnds(
  { num_train_timesteps: count, shift, use_dynamic_shifting: dynamic }: Config,
): [number, number] {
  const level = (timestep: number): number => {
    const sigma = f32(timestep / count);
    return dynamic ? sigma : shiftSigma(sigma, shift, f32);
  };
  return [level(count), level(1)];
}

/** The definition of `FlowMatchEulerDiscreteScheduler`. */
export const flowMatchEulerDiscrete: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: { flow_match_euler: {}, flow_euler: {} },
  description: "Euler's method along a flow: only for flow-matching models",
  stochastic: "sometimes",
  givesDenoised: false,
  options,
  support: { timesteps: true, sigmas: true, mu: true },
  build: (config, run) => new FlowMatchEulerDiscreteScheduler(config, run),
});
