// This module is browser compatible.

/**
 * SA-Solver: a stochastic Adams method that predicts each step from earlier ones and corrects it at the next.
 *
 * Sources: Xue et al. 2023, "SA-Solver: Stochastic Adams Solver for Fast Sampling of Diffusion Models",
 * algorithm 1; diffusers `schedulers/scheduling_sasolver.py`.
 *
 * @module
 */

import { z } from "zod";
import { addTrainingNoise } from "./add_noise.ts";
import { betaOptions } from "./betas.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { convertPrediction } from "./dpm_solver_prediction.ts";
import { linearCombination } from "./elementwise.ts";
import { exp32, f32, sqrt32 } from "./float32.ts";
import { MultistepHistory } from "./multistep_history.ts";
import { OrderedScheduler, savedArray, type StepCall } from "./ordered_scheduler.ts";
import { type RunOptions, stepsOf } from "./run_options.ts";
import {
  adamsCoefficients,
  type AdamsInterval,
  correctorRefinement,
  predictorRefinement,
} from "./sa_solver_coefficients.ts";
import type { StepResult } from "./scheduler.ts";
import { checkOneSigmaSpacing, sigmaSpacingOptions, sigmaSpacingsIn } from "./sigma_spacing.ts";
import { type SignalLevel, signalLevel } from "./signal_level.ts";
import { lambdaMinOption, optionAmongForeign, predictionOption } from "./solver_options.ts";
import { solverSchedule } from "./solver_schedule.ts";
import { thresholdingOptions } from "./thresholding.ts";
import { intervalTimesteps, spacingOptions } from "./timestep_spacing.ts";
import { timestepsAboveLambda, trainingSchedule } from "./training_schedule.ts";

const NAME = "SASolverScheduler";
/** The range of training timesteps, out of a thousand, in which steps add noise. */
const NOISY = { from: 200, to: 800 };

const options = z
  .object({
    ...betaOptions,
    predictor_order: z.int().min(1).max(4).default(2),
    corrector_order: z.int().min(1).max(4).default(2),
    prediction_type: predictionOption,
    tau_func: z.null().default(null),
    ...thresholdingOptions,
    algorithm_type: optionAmongForeign(
      ["data_prediction", "noise_prediction"],
      ["dpmsolver++", "dpmsolver", "sde-dpmsolver", "sde-dpmsolver++", "deis"],
    ),
    lower_order_final: z.boolean().default(true),
    ...sigmaSpacingOptions,
    use_flow_sigmas: z.boolean().nullable().default(false),
    flow_shift: z.number().gt(0).nullable().default(1),
    lambda_min_clipped: lambdaMinOption,
    /** PixArt's pipelines drop a learned variance, so no scheduler ever sees one. */
    variance_type: z.enum(["learned", "learned_range"]).nullable().default(null),
    ...spacingOptions,
  })
  .superRefine(checkOneSigmaSpacing)
  .superRefine((config, context) => {
    if (config.algorithm_type === "data_prediction" || config.prediction_type !== "flow_prediction") return;
    context.addIssue({
      code: "custom",
      path: ["prediction_type"],
      message: "must be epsilon, sample or v_prediction with algorithm_type noise_prediction",
    });
  });

type Config = z.output<typeof options>;

/** The inputs of one Adams step. */
interface AdamsStep {
  /** The call whose level is the start of the step. */
  readonly index: number;
  /** The sample at the start. */
  readonly sample: Float32Array;
  /** The noise that the step adds. */
  readonly noise: Float32Array;
  /** The call of the newest prediction: the start of the step, or its end for a corrector. */
  readonly newest: number;
  /** Predictions, newest first; as many as the order. */
  readonly predictions: readonly Float32Array[];
}

/** The SA-Solver sampler, of orders 1 to 4. */
export class SASolverScheduler extends OrderedScheduler {
  readonly name = NAME;
  readonly #config: Config;
  readonly #alphas: Float32Array;
  readonly #levels: readonly SignalLevel[];
  readonly #history: MultistepHistory;
  #last: { readonly sample: Float32Array; readonly noise: Float32Array } | undefined;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Config, run: RunOptions) {
    const training = trainingSchedule(config);
    const { timesteps, sigmas } = solverSchedule({ ...config, use_dynamic_shifting: false }, training, {
      timesteps: intervalTimesteps(
        config,
        stepsOf(run, config.num_train_timesteps),
        timestepsAboveLambda(training, config.lambda_min_clipped, config.num_train_timesteps),
      ),
      steps: run.steps!,
      mu: undefined,
    });
    const isSpaced = sigmaSpacingsIn(config).length > 0 || Boolean(config.use_flow_sigmas);
    const last = isSpaced ? sigmas[sigmas.length - 1]! : training.sigmas[0]!;
    super({ timesteps, sigmas: [...sigmas, last] });
    this.#config = config;
    this.#alphas = training.alphas;
    this.#levels = this.sigmas!.map((sigma) => signalLevel(sigma, Boolean(config.use_flow_sigmas)));
    this.#history = new MultistepHistory(Math.max(config.predictor_order, config.corrector_order - 1));
  }

  protected advance({ output, index, sample, noise }: StepCall): StepResult {
    const { predictor_order: order, lower_order_final: lowers } = this.#config;
    const prediction = convertPrediction(
      { ...this.#config, algorithm_type: this.#predictsClean ? "dpmsolver++" : "dpmsolver" },
      output,
      sample,
      this.#levels[index]!,
      this.sigmas![index]!,
    );
    const start = this.#correct(index, prediction) ?? sample.slice();
    this.#history.push(prediction);
    this.#last = { sample: start, noise: noise().slice() };
    const remaining = lowers ? this.timesteps.length - index : order;
    const looked = Math.min(order, remaining, index - this.begun + 1);
    const next = this.#step({
      ...this.#last,
      index,
      newest: index,
      predictions: Array.from({ length: looked }, (_, age) => this.#history.at(age)),
    });
    return this.#predictsClean ? { sample: next, predictedOriginal: prediction } : { sample: next };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    return addTrainingNoise(this.#alphas, original, noise, timestep);
  }

  protected override memory(): Record<string, Float32Array> {
    const { sample, noise } = this.#last ?? {};
    return {
      ...this.#history.state(),
      ...(sample && noise ? { last_sample: sample, last_noise: noise } : {}),
    };
  }

  protected override remember(arrays: Readonly<Record<string, Float32Array>>): void {
    this.#history.restore(arrays);
    this.#last = this.#history.length > 0
      ? { sample: savedArray(arrays, "last_sample"), noise: savedArray(arrays, "last_noise") }
      : undefined;
  }

  get #predictsClean(): boolean {
    return this.#config.algorithm_type === "data_prediction";
  }

  /** Repeats the previous step now that the prediction at its end is known. */
  #correct(index: number, prediction: Float32Array): Float32Array | undefined {
    if (!this.#last) return undefined;
    const { corrector_order: order, lower_order_final: lowers } = this.#config;
    const remaining = lowers ? this.timesteps.length - index + 2 : order;
    const looked = Math.min(order, remaining, index - this.begun + 1);
    const earlier = Array.from({ length: looked - 1 }, (_, age) => this.#history.at(age));
    return this.#step({
      ...this.#last,
      index: index - 1,
      newest: index,
      predictions: [prediction, ...earlier],
    });
  }

  #step({ index, sample, noise, newest, predictions }: AdamsStep): Float32Array {
    const [from, to] = [this.#levels[index]!, this.#levels[index + 1]!];
    const timestep = this.timesteps[index]!;
    const tau = timestep >= NOISY.from && timestep <= NOISY.to ? 1 : 0;
    const interval: AdamsInterval = {
      from: from.lambda,
      to: to.lambda,
      nodes: predictions.map((_, age) => this.#levels[newest - age]!.lambda),
      tau,
      predictsClean: this.#predictsClean,
    };
    const coefficients = adamsCoefficients(interval);
    const [first, second] = coefficients;
    if (this.#predictsClean && second !== undefined && coefficients.length === 2) {
      const more = newest === index ? predictorRefinement(interval) : correctorRefinement(interval);
      coefficients.splice(0, 2, f32(first! + more), f32(second - more));
    }
    const h = f32(to.lambda - from.lambda);
    const scale = this.#predictsClean
      ? f32(f32((1 + tau ** 2) * to.sigma) * exp32(f32(-(tau ** 2) * to.lambda)))
      : f32(-(1 + tau ** 2) * to.alpha);
    const change = linearCombination(
      coefficients.map((coefficient) => f32(scale * coefficient)),
      predictions,
    );
    const kept = this.#predictsClean
      ? f32(exp32(f32(-(tau ** 2) * h)) * f32(to.sigma / from.sigma))
      : f32(to.alpha / from.alpha);
    const added = this.#predictsClean
      ? f32(to.sigma * sqrt32(f32(1 - exp32(f32(-2 * tau ** 2 * h)))))
      : f32(f32(tau * to.sigma) * sqrt32(f32(exp32(f32(2 * h)) - 1)));
    return linearCombination([kept, 1, added], [sample, change, noise]);
  }
}

/** The definition of `SASolverScheduler`. */
export const saSolver: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: { sa_solver: {} },
  description:
    "SA-Solver: predicts and corrects with fresh noise in the middle of a run, good in 15 to 30 steps",
  stochastic: "always",
  givesDenoised: false,
  options,
  support: {},
  build: (config, run) => new SASolverScheduler(config, run),
});
