// This module is browser compatible.

/**
 * UniPC: a predictor and a corrector of any order that need no extra model calls.
 *
 * Sources: Zhao et al. 2023, "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion
 * Models", algorithms 1 and 2 (5 to 8 for the clean sample); diffusers
 * `schedulers/scheduling_unipc_multistep.py`.
 *
 * @module
 */

import { z } from "zod";
import { addNoiseAt, sigmaAt } from "./add_noise.ts";
import { defineScheduler, type SchedulerDefinition } from "./definition.ts";
import { convertPrediction } from "./dpm_solver_prediction.ts";
import { MultistepHistory } from "./multistep_history.ts";
import { OrderedScheduler, savedArray, type StepCall } from "./ordered_scheduler.ts";
import type { RunOptions } from "./run_options.ts";
import type { StepResult } from "./scheduler.ts";
import { SchedulerOptionError } from "./scheduler_error.ts";
import { checkOneSigmaSpacing } from "./sigma_spacing.ts";
import { type SignalLevel, signalLevel } from "./signal_level.ts";
import { finalSigmasOption, optionAmongForeign, solverOptions } from "./solver_options.ts";
import { spacingOptions } from "./timestep_spacing.ts";
import { uniPCSchedule } from "./unipc_schedule.ts";
import { type UniPCStep, uniPCUpdate } from "./unipc_update.ts";

const NAME = "UniPCMultistepScheduler";

const options = z
  .object({
    ...solverOptions,
    predict_x0: z.boolean().default(true),
    solver_type: optionAmongForeign(["bh2", "bh1"], ["midpoint", "heun", "logrho"]),
    lower_order_final: z.boolean().default(true),
    disable_corrector: z.array(z.int()).default([]),
    solver_p: z.null().default(null),
    ...spacingOptions,
    final_sigmas_type: finalSigmasOption,
    rescale_betas_zero_snr: z.boolean().default(false),
    time_shift_type: z.enum(["exponential", "linear"]).default("exponential"),
    sigma_min: z.number().gt(0).nullable().default(null),
    sigma_max: z.number().gt(0).nullable().default(null),
    shift_terminal: z.number().gt(0).lt(1).nullable().default(null),
  })
  .superRefine(checkOneSigmaSpacing)
  .superRefine((config, context) => {
    const refuse = (option: string, message: string): void =>
      context.addIssue({ code: "custom", path: [option], message: `must be ${message}` });
    if (config.shift_terminal !== null && !config.use_flow_sigmas) {
      refuse("shift_terminal", "null without use_flow_sigmas");
    }
    // Without noise, the logarithm of the signal is infinite, so the last step would not produce finite
    // values.
    if (!config.predict_x0 && config.final_sigmas_type === "zero") {
      refuse("predict_x0", "true with final_sigmas_type zero, or final_sigmas_type sigma_min");
    }
    if (!config.predict_x0 && config.prediction_type === "flow_prediction") {
      refuse("prediction_type", "epsilon, sample or v_prediction without predict_x0");
    }
  });

type Config = z.output<typeof options>;

/** The multistep UniPC solver, of order 1 to 3. */
export class UniPCMultistepScheduler extends OrderedScheduler {
  readonly name = NAME;
  readonly #config: Config;
  readonly #levels: readonly SignalLevel[];
  readonly #history: MultistepHistory;
  #lastSample?: Float32Array;

  /** @param config The parsed options. @param run The run to lay out. */
  constructor(config: Config, run: RunOptions) {
    const { timesteps, sigmas } = uniPCSchedule(config, run);
    super({ timesteps, sigmas });
    this.#config = config;
    if (
      !config.lower_order_final && config.final_sigmas_type === "zero" &&
      config.solver_order > 1 && timesteps.length > 1
    ) {
      throw new SchedulerOptionError(
        NAME,
        "lower_order_final",
        `lower_order_final must be true with final_sigmas_type zero and more than one step: current value is false`,
      );
    }
    this.#levels = sigmas.map((sigma) => signalLevel(sigma, Boolean(config.use_flow_sigmas)));
    this.#history = new MultistepHistory(config.solver_order);
  }

  protected advance({ output, index, sample }: StepCall): StepResult {
    const { predict_x0: predictsClean, prediction_type, thresholding } = this.#config;
    const prediction = convertPrediction(
      {
        ...this.#config,
        prediction_type,
        algorithm_type: predictsClean ? "dpmsolver++" : "dpmsolver",
        thresholding: thresholding && predictsClean,
      },
      output,
      sample,
      this.#levels[index]!,
      this.sigmas![index]!,
    );
    const corrected = this.#correct(index, prediction) ?? sample.slice();
    this.#history.push(prediction);
    this.#lastSample = corrected;
    const next = uniPCUpdate(this.#step(index, corrected));
    return predictsClean ? { sample: next, predictedOriginal: prediction } : { sample: next };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    const sigma = sigmaAt(this.timesteps, this.sigmas!, timestep, this.next);
    return addNoiseAt(signalLevel(sigma, Boolean(this.#config.use_flow_sigmas)), original, noise);
  }

  protected override memory(): Record<string, Float32Array> {
    return { ...this.#history.state(), ...(this.#lastSample ? { last_sample: this.#lastSample } : {}) };
  }

  protected override remember(arrays: Readonly<Record<string, Float32Array>>): void {
    this.#history.restore(arrays);
    if (this.#history.length > 0) this.#lastSample = savedArray(arrays, "last_sample");
  }

  /** Repeats the previous step (UniC) now that the prediction at its end is known. */
  #correct(index: number, prediction: Float32Array): Float32Array | undefined {
    if (!this.#lastSample || this.#config.disable_corrector.includes(index - 1)) return undefined;
    return uniPCUpdate({ ...this.#step(index - 1, this.#lastSample), correction: prediction });
  }

  #step(index: number, sample: Float32Array): UniPCStep {
    const order = this.#orderAt(index);
    const ages = Array.from({ length: order }, (_, age) => age);
    return {
      predictsClean: this.#config.predict_x0,
      solverType: this.#config.solver_type,
      to: this.#levels[index + 1]!,
      levels: ages.map((age) => this.#levels[index - age]!),
      predictions: ages.map((age) => this.#history.at(age)),
      sample,
    };
  }

  /** Returns the order of a step: lower at the start, where the history is short, and at the end. */
  #orderAt(index: number): number {
    const { lower_order_final, solver_order } = this.#config;
    const remaining = this.timesteps.length - index;
    return Math.min(solver_order, this.#history.length, lower_order_final ? remaining : solver_order);
  }
}

/** The definition of `UniPCMultistepScheduler`. */
export const uniPCMultistep: SchedulerDefinition = defineScheduler({
  name: NAME,
  shortNames: {
    unipc: {},
    unipc_bh1: { solver_type: "bh1", final_sigmas_type: "sigma_min" },
    unipc_bh2: { solver_type: "bh2" },
  },
  description: "UniPC: predicts and corrects without extra model calls, good in 5 to 15 steps",
  stochastic: "never",
  givesDenoised: false,
  options,
  support: { sigmas: true, mu: true },
  build: (config, run) => new UniPCMultistepScheduler(config, run),
});
