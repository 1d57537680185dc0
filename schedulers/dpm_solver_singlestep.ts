// This module is browser compatible.

/**
 * Singlestep DPM-Solver and DPM-Solver++: groups of steps that share one starting sample.
 *
 * Sources: Lu et al. 2022, "DPM-Solver" (algorithms 1 and 2) and "DPM-Solver++" (algorithm 1); diffusers
 * `schedulers/scheduling_dpmsolver_singlestep.py`.
 *
 * @module
 */

import { z } from "zod";
import { addNoiseAt, sigmaAt } from "./add_noise.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { convertPrediction } from "./dpm_solver_prediction.ts";
import { dpmSolverUpdate, isStochastic, predictsClean } from "./dpm_solver_update.ts";
import { linearCombination, quotient, scaledDifference } from "./elementwise.ts";
import { f32 } from "./float32.ts";
import { MultistepHistory } from "./multistep_history.ts";
import { OrderedScheduler, savedArray, type StepCall } from "./ordered_scheduler.ts";
import { linspace, roundHalfEven } from "./ranges.ts";
import { type RunOptions, stepsOf, withinTraining } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { checkOneSigmaSpacing } from "./sigma_spacing.ts";
import { type SignalLevel, signalLevel } from "./signal_level.ts";
import {
  checkDpmAlgorithm,
  checkTimestepsAreFree,
  finalSigmasOption,
  lambdaMinOption,
  optionAmongForeign,
  solverOptions,
} from "./solver_options.ts";
import { solverSchedule } from "./solver_schedule.ts";
import { timestepsAboveLambda, trainingSchedule } from "./training_schedule.ts";

const NAME = "DPMSolverSinglestepScheduler";

const options = z
  .object({
    ...solverOptions,
    algorithm_type: optionAmongForeign(["dpmsolver++", "dpmsolver", "sde-dpmsolver++"], ["deis"]),
    solver_type: optionAmongForeign(["midpoint", "heun"], ["logrho", "bh1", "bh2"]),
    lower_order_final: z.boolean().default(false),
    final_sigmas_type: finalSigmasOption,
    lambda_min_clipped: lambdaMinOption,
    variance_type: z.enum(["learned", "learned_range"]).nullable().default(null),
  })
  .superRefine(checkOneSigmaSpacing)
  .superRefine(checkDpmAlgorithm);

type Config = z.output<typeof options>;

/** The singlestep DPM-Solver and DPM-Solver++, of order 1 to 3, deterministic or stochastic. */
export class DPMSolverSinglestepScheduler extends OrderedScheduler {
  readonly name = NAME;
  readonly #config: Config;
  readonly #levels: readonly SignalLevel[];
  readonly #orders: readonly number[];
  readonly #history: MultistepHistory;
  #start?: Float32Array;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Config, run: RunOptions) {
    const { timesteps, sigmas } = layOut(config, run);
    super({ timesteps, sigmas });
    this.#config = config;
    this.#levels = sigmas.map((sigma) => signalLevel(sigma, Boolean(config.use_flow_sigmas)));
    this.#orders = ordersOf(config, timesteps.length);
    this.#history = new MultistepHistory(config.solver_order);
  }

  protected override get hasLearnedVariance(): boolean {
    return this.#config.variance_type !== null;
  }

  protected advance({ output, index, sample, noise }: StepCall): StepResult {
    const { algorithm_type: algorithm, solver_type: solverType } = this.#config;
    const level = this.#levels[index]!;
    const prediction = convertPrediction(this.#config, output, sample, level, this.sigmas![index]!);
    this.#history.push(prediction);
    // A run that begins in the middle of a group has no earlier predictions.
    const order = Math.min(this.#orders[index]!, this.#history.length);
    if (order === 1) this.#start = sample.slice();
    const isMidpointOfThree = order === 3 && solverType === "midpoint";
    const next = dpmSolverUpdate({
      algorithm,
      solverType: order === 3 ? "heun" : solverType,
      from: this.#levels[index + 1 - order]!,
      to: this.#levels[index + 1]!,
      sample: this.#start!,
      derivatives: this.#derivatives(index, order).slice(0, isMidpointOfThree ? 2 : order),
      ...(isStochastic(algorithm) ? { noise: noise() } : {}),
    });
    return predictsClean(algorithm) ? { sample: next, predictedOriginal: prediction } : { sample: next };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    const sigma = sigmaAt(this.timesteps, this.sigmas!, timestep, this.next);
    return addNoiseAt(signalLevel(sigma, Boolean(this.#config.use_flow_sigmas)), original, noise);
  }

  protected override memory(): Record<string, Float32Array> {
    return { ...this.#history.state(), ...(this.#start ? { start: this.#start } : {}) };
  }

  protected override remember(arrays: Readonly<Record<string, Float32Array>>): void {
    this.#history.restore(arrays);
    if (this.#history.length > 0) this.#start = savedArray(arrays, "start");
  }

  /** Returns the prediction at the start of the group and its differences to the later ones. */
  #derivatives(index: number, order: number): Float32Array[] {
    const [m0, m1, m2] = [0, 1, 2].slice(0, order).map((age) => this.#history.at(age));
    if (!m1) return [m0!];
    const start = this.#levels[index + 1 - order]!.lambda;
    const since = (at: number): number => f32(this.#levels[at]!.lambda - start);
    const h = since(index + 1);
    const r0 = f32(since(index) / h);
    if (!m2) return [m1, scaledDifference(f32(1 / r0), m0!, m1)];
    const r1 = f32(since(index - 1) / h);
    const nearSlope = scaledDifference(f32(1 / r1), m1, m2);
    const farSlope = scaledDifference(f32(1 / r0), m0!, m2);
    if (this.#config.solver_type === "midpoint") return [m2, farSlope];
    const span = f32(r0 - r1);
    const slope = quotient(linearCombination([r0, -r1], [nearSlope, farSlope]), span);
    return [m2, slope, quotient(scaledDifference(2, farSlope, nearSlope), span)];
  }
}

/**
 * Returns the order of each step: groups of 1, 2, … up to the solver's order. Orders are lower at the end if
 * the steps do not divide into whole groups or if the last step leads to zero noise.
 */
function ordersOf(config: Config, steps: number): number[] {
  const { solver_order: order } = config;
  const endsClean = config.final_sigmas_type === "zero";
  const lowerAtEnd = config.lower_order_final || steps % order !== 0 || endsClean;
  const orders = Array.from({ length: steps }, (_, index) => index % order + 1);
  const rest = steps % order;
  if (lowerAtEnd && rest === 0 && order > 1) {
    orders.splice(-order, order, ...(order === 3 ? [1, 2, 1] : [1, 1]));
  }
  if (endsClean) orders[steps - 1] = 1;
  return orders;
}

function layOut(config: Config, run: RunOptions): { timesteps: number[]; sigmas: number[] } {
  const { num_train_timesteps: count } = config;
  const training = trainingSchedule(config);
  if (run.timesteps) checkTimestepsAreFree(NAME, config);
  const steps = run.timesteps?.length ?? stepsOf(run, count);
  const last = timestepsAboveLambda(training, config.lambda_min_clipped, count) - 1;
  const spaced = run.timesteps
    ? withinTraining(run.timesteps, count, { beyond: true })
    : linspace(0, last, steps + 1).map(roundHalfEven).reverse().slice(0, -1);
  const schedule = solverSchedule(config, training, { timesteps: spaced, steps, mu: run.mu });
  const lowest = config.final_sigmas_type === "zero" ? 0 : training.sigmas[0]!;
  return { timesteps: schedule.timesteps, sigmas: [...schedule.sigmas, lowest] };
}

/** The definition of `DPMSolverSinglestepScheduler`. */
export const dpmSolverSinglestep: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: {
    "dpm_single": {},
    "dpm++2s": { algorithm_type: "dpmsolver++", solver_order: 2 },
    "dpm++3s": { algorithm_type: "dpmsolver++", solver_order: 3 },
    "dpm++sde": { algorithm_type: "sde-dpmsolver++", solver_order: 2 },
  },
  description:
    "DPM-Solver++ in groups of two or three steps that share a sample: sharper than multistep without guidance",
  stochastic: "sometimes",
  givesDenoised: false,
  options,
  support: { timesteps: true, mu: true },
  build: (config, run) => new DPMSolverSinglestepScheduler(config, run),
});
