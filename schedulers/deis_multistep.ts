// This module is browser compatible.

/**
 * DEIS: an exponential integrator that extrapolates the noise with polynomials in log rho.
 *
 * Sources: Zhang and Chen 2022, "Fast Sampling of Diffusion Models with Exponential Integrator", section 4
 * (log-rho multistep); diffusers `schedulers/scheduling_deis_multistep.py`.
 *
 * @module
 */

import { z } from "zod";
import { addNoiseAt, sigmaAt } from "./add_noise.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { convertPrediction } from "./dpm_solver_prediction.ts";
import { dpmSolverUpdate } from "./dpm_solver_update.ts";
import { linearCombination, quotient, scaled } from "./elementwise.ts";
import { f32 } from "./float32.ts";
import { MultistepHistory } from "./multistep_history.ts";
import { numpyLog32 } from "./numpy_log.ts";
import { OrderedScheduler, type StepCall } from "./ordered_scheduler.ts";
import { predictNoise } from "./prediction.ts";
import { type RunOptions, stepsOf } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { checkOneSigmaSpacing, sigmaSpacingsIn } from "./sigma_spacing.ts";
import { type SignalLevel, signalLevel } from "./signal_level.ts";
import { optionAmongForeign, solverOptions } from "./solver_options.ts";
import { type SolverSchedule, solverSchedule } from "./solver_schedule.ts";
import { intervalTimesteps, spacingOptions } from "./timestep_spacing.ts";
import { trainingSchedule } from "./training_schedule.ts";

const NAME = "DEISMultistepScheduler";
/** The number of steps from which the last steps keep their order. */
const MANY_STEPS = 15;

const options = z
  .object({
    ...solverOptions,
    algorithm_type: optionAmongForeign(["deis"], ["dpmsolver", "dpmsolver++"]),
    solver_type: optionAmongForeign(["logrho"], ["midpoint", "heun", "bh1", "bh2"]),
    lower_order_final: z.boolean().default(true),
    ...spacingOptions,
  })
  .superRefine(checkOneSigmaSpacing);

type Config = z.output<typeof options>;

/** The multistep DEIS solver, of order 1 to 3. */
export class DEISMultistepScheduler extends OrderedScheduler {
  readonly name = NAME;
  readonly #config: Config;
  readonly #levels: readonly SignalLevel[];
  readonly #history: MultistepHistory;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Config, run: RunOptions) {
    const { timesteps, sigmas } = layOut(config, run);
    super({ timesteps, sigmas });
    this.#config = config;
    this.#levels = sigmas.map((sigma) => signalLevel(sigma, Boolean(config.use_flow_sigmas)));
    this.#history = new MultistepHistory(config.solver_order);
  }

  protected advance({ output, index, sample }: StepCall): StepResult {
    const level = this.#levels[index]!;
    const sigma = this.sigmas![index]!;
    const config = { ...this.#config, algorithm_type: "dpmsolver++" } as const;
    const clean = convertPrediction(config, output, sample, level, sigma);
    // For a predicted flow, the reference divides by the noise level itself even if that is not the level of
    // a flow.
    const weights = config.prediction_type === "flow_prediction" ? { ...level, sigma } : level;
    this.#history.push(predictNoise("sample", clean, sample, weights));
    return { sample: this.#extrapolate(index, sample), predictedOriginal: clean };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    const sigma = sigmaAt(this.timesteps, this.sigmas!, timestep, this.next);
    return addNoiseAt(signalLevel(sigma, Boolean(this.#config.use_flow_sigmas)), original, noise);
  }

  protected override memory(): Record<string, Float32Array> {
    return this.#history.state();
  }

  protected override remember(arrays: Readonly<Record<string, Float32Array>>): void {
    this.#history.restore(arrays);
  }

  #extrapolate(index: number, sample: Float32Array): Float32Array {
    const from = this.#levels[index]!;
    const to = this.#levels[index + 1]!;
    const order = this.#orderAt(index);
    const noises = Array.from({ length: order }, (_, age) => this.#history.at(age));
    if (order === 1) {
      const solver = { algorithm: "dpmsolver", solverType: "midpoint" } as const;
      return dpmSolverUpdate({ ...solver, from, to, sample, derivatives: noises });
    }
    const rho = (at: number): number => f32(this.#levels[at]!.sigma / this.#levels[at]!.alpha);
    const nodes = Array.from({ length: order }, (_, age) => rho(index - age));
    const weights = nodes.map((_, age) =>
      f32(basisIntegral(rho(index + 1), nodes, age) - basisIntegral(rho(index), nodes, age))
    );
    const sum = linearCombination([1, ...weights], [quotient(sample, from.alpha), ...noises]);
    return scaled(sum, to.alpha);
  }

  /**
   * Returns the order of a step: lower at the start, where the history is short, and at the end of a short
   * run.
   */
  #orderAt(index: number): number {
    const { lower_order_final, solver_order } = this.#config;
    const count = this.timesteps.length;
    const lowers = lower_order_final && count < MANY_STEPS;
    return Math.min(solver_order, this.#history.length, lowers ? count - index : solver_order);
  }
}

/**
 * Returns the integral up to `rho` of the Lagrange polynomial in log rho that is 1 at node `which` and 0
 * elsewhere.
 */
function basisIntegral(rho: number, nodes: readonly number[], which: number): number {
  const t = numpyLog32(rho);
  const count = nodes.length;
  const [b, c, d] = nodes.map((_, turn) => numpyLog32(nodes[(which + turn) % count]!));
  if (d === undefined) return f32(f32(rho * f32(f32(-c! + t) - 1)) / f32(b! - c!));
  const product = f32(c! * f32(f32(d - t) + 1));
  const inner = [-f32(d * t), d, f32(t * t), -f32(2 * t), 2].reduce((sum, term) => f32(sum + term), product);
  return f32(f32(rho * inner) / f32(f32(b! - c!) * f32(b! - d)));
}

/**
 * Lays out the run. Its last level is the lowest of training, or a repeated one if a spacing option is on.
 */
function layOut(config: Config, run: RunOptions): SolverSchedule {
  const steps = stepsOf(run, config.num_train_timesteps);
  const training = trainingSchedule(config);
  const { timesteps, sigmas } = solverSchedule(config, training, {
    timesteps: intervalTimesteps(config, steps),
    steps,
    mu: run.mu,
  });
  const repeats = config.use_flow_sigmas || sigmaSpacingsIn(config).length > 0;
  return { timesteps, sigmas: [...sigmas, repeats ? sigmas[sigmas.length - 1]! : training.sigmas[0]!] };
}

/** The definition of `DEISMultistepScheduler`. */
export const deisMultistep: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: { deis: {} },
  description: "DEIS: an exponential integrator like DPM-Solver, good in 10 to 20 steps",
  stochastic: "never",
  givesDenoised: false,
  options,
  support: { mu: true },
  build: (config, run) => new DEISMultistepScheduler(config, run),
});
