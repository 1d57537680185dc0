// This module is browser compatible.

/**
 * Multistep DPM-Solver and DPM-Solver++, whose steps reuse earlier predictions. PixArt's default scheduler.
 *
 * Sources: Lu et al. 2022, "DPM-Solver" and "DPM-Solver++" (algorithm 2); diffusers
 * `schedulers/scheduling_dpmsolver_multistep.py`.
 *
 * @module
 */

import { z } from "zod";
import { addNoiseAt, sigmaAt } from "./add_noise.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { convertPrediction } from "./dpm_solver_prediction.ts";
import { dpmSolverUpdate, isStochastic, predictsClean } from "./dpm_solver_update.ts";
import { linearCombination, scaledDifference } from "./elementwise.ts";
import { f32 } from "./float32.ts";
import { MultistepHistory } from "./multistep_history.ts";
import { OrderedScheduler, type StepCall } from "./ordered_scheduler.ts";
import { type RunOptions, stepsOf, withinTraining } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { SchedulerOptionError } from "./scheduler_error.ts";
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
import { intervalTimesteps, spacingOptions } from "./timestep_spacing.ts";
import { timestepsAboveLambda, trainingSchedule } from "./training_schedule.ts";

const NAME = "DPMSolverMultistepScheduler";
/** The number of steps from which the last steps keep their order. */
const MANY_STEPS = 15;

const options = z
  .object({
    ...solverOptions,
    ...spacingOptions,
    algorithm_type: optionAmongForeign(
      ["dpmsolver++", "dpmsolver", "sde-dpmsolver", "sde-dpmsolver++"],
      ["deis"],
    ),
    solver_type: optionAmongForeign(["midpoint", "heun"], ["logrho", "bh1", "bh2"]),
    lower_order_final: z.boolean().default(true),
    euler_at_final: z.boolean().default(false),
    use_lu_lambdas: z.boolean().nullable().default(false),
    final_sigmas_type: finalSigmasOption,
    lambda_min_clipped: lambdaMinOption,
    variance_type: z.enum(["learned", "learned_range"]).nullable().default(null),
    rescale_betas_zero_snr: z.boolean().default(false),
  })
  .superRefine(checkOneSigmaSpacing)
  .superRefine(checkDpmAlgorithm);

type Config = z.output<typeof options>;

/** The multistep DPM-Solver and DPM-Solver++, of order 1 to 3, deterministic or stochastic. */
export class DPMSolverMultistepScheduler extends OrderedScheduler {
  readonly name = NAME;
  readonly #config: Config;
  readonly #levels: readonly SignalLevel[];
  readonly #history: MultistepHistory;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Config, run: RunOptions) {
    const { timesteps, sigmas } = layOut(config, run);
    super({ timesteps, sigmas });
    this.#config = config;
    if (
      config.algorithm_type === "sde-dpmsolver" &&
      timesteps.some((_, index) => this.#orderAt(index, index + 1) === 3)
    ) {
      throw new SchedulerOptionError(
        NAME,
        "solver_order",
        "solver_order must be 1 or 2 with algorithm_type sde-dpmsolver if a step of the run has order 3: " +
          "current value is 3",
      );
    }
    this.#levels = sigmas.map((sigma) => signalLevel(sigma, Boolean(config.use_flow_sigmas)));
    this.#history = new MultistepHistory(config.solver_order);
  }

  protected override get hasLearnedVariance(): boolean {
    return this.#config.variance_type !== null;
  }

  protected advance({ output, index, sample, noise }: StepCall): StepResult {
    const { algorithm_type: algorithm, solver_type: solverType } = this.#config;
    const from = this.#levels[index]!;
    const to = this.#levels[index + 1]!;
    const prediction = convertPrediction(this.#config, output, sample, from, this.sigmas![index]!);
    this.#history.push(prediction);
    const next = dpmSolverUpdate({
      algorithm,
      solverType: this.#orderAt(index) === 3 ? "heun" : solverType,
      from,
      to,
      sample,
      derivatives: this.#derivatives(index),
      ...(isStochastic(algorithm) ? { noise: noise() } : {}),
    });
    return predictsClean(algorithm) ? { sample: next, predictedOriginal: prediction } : { sample: next };
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

  /**
   * Returns the order of a step: lower at the start, where the history is short, and at the end of a short
   * run.
   */
  #orderAt(index: number, seen: number = this.#history.length): number {
    const { euler_at_final, lower_order_final, final_sigmas_type, solver_order } = this.#config;
    const count = this.timesteps.length;
    const lowers = lower_order_final && count < MANY_STEPS;
    const remaining = count - index;
    const isEuler = remaining === 1 && (euler_at_final || lowers || final_sigmas_type === "zero");
    const limit = isEuler ? 1 : remaining === 2 && lowers ? 2 : solver_order;
    return Math.min(solver_order, seen, limit);
  }

  /** Returns the newest prediction and its divided differences over earlier ones. */
  #derivatives(index: number): Float32Array[] {
    const order = this.#orderAt(index);
    const [m0, m1, m2] = [0, 1, 2].slice(0, order).map((age) => this.#history.at(age));
    if (!m1) return [m0!];
    const lambda = (at: number): number => this.#levels[at]!.lambda;
    const h = f32(lambda(index + 1) - lambda(index));
    const r0 = f32(f32(lambda(index) - lambda(index - 1)) / h);
    const slope = scaledDifference(f32(1 / r0), m0!, m1);
    if (!m2) return [m0!, slope];
    const r1 = f32(f32(lambda(index - 1) - lambda(index - 2)) / h);
    const earlierSlope = scaledDifference(f32(1 / r1), m1, m2);
    const span = f32(r0 + r1);
    const change = scaledDifference(f32(r0 / span), slope, earlierSlope);
    const curvature = scaledDifference(f32(1 / span), slope, earlierSlope);
    return [m0!, linearCombination([1, 1], [slope, change]), curvature];
  }
}

function layOut(config: Config, run: RunOptions): { timesteps: number[]; sigmas: number[] } {
  const { num_train_timesteps: count } = config;
  const training = trainingSchedule(config);
  if (run.timesteps) checkTimestepsAreFree(NAME, config);
  const spaced = run.timesteps ? withinTraining(run.timesteps, count, { beyond: true }) : intervalTimesteps(
    config,
    stepsOf(run, count),
    timestepsAboveLambda(training, config.lambda_min_clipped, count),
  );
  const schedule = solverSchedule(config, training, {
    timesteps: spaced,
    steps: run.timesteps ? spaced.length : run.steps!,
    mu: run.mu,
    cut: config.beta_schedule === "squaredcos_cap_v2",
  });
  const last = config.final_sigmas_type === "zero" ? 0 : training.sigmas[0]!;
  return { timesteps: schedule.timesteps, sigmas: [...schedule.sigmas, last] };
}

/** The definition of `DPMSolverMultistepScheduler`. */
export const dpmSolverMultistep: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: {
    "dpmsolver++": { algorithm_type: "dpmsolver++" },
    "dpm++": { algorithm_type: "dpmsolver++", solver_order: 2 },
    "dpm++2m": { algorithm_type: "dpmsolver++", solver_order: 2 },
    "dpm++3m": { algorithm_type: "dpmsolver++", solver_order: 3 },
    "dpm++2m_sde": { algorithm_type: "sde-dpmsolver++", solver_order: 2 },
    "dpm++3m_sde": { algorithm_type: "sde-dpmsolver++", solver_order: 3 },
    "dpmsolver": { algorithm_type: "dpmsolver", final_sigmas_type: "sigma_min" },
  },
  description: "DPM-Solver++ with multistep updates: good pictures in 10 to 20 steps, PixArt's default",
  stochastic: "sometimes",
  givesDenoised: false,
  options,
  support: { timesteps: true, mu: true },
  build: (config, run) => new DPMSolverMultistepScheduler(config, run),
});
