/**
 * A custom scheduler: DDIM along timesteps that lie closer together towards the end, where details form.
 * docs/scheduler_plugin.md walks through it.
 *
 *     deno task gen "cute cat" --scheduler eased --plugin examples/plugins/eased.ts
 *
 * @module
 */

import { z } from "zod";
import {
  addTrainingNoise,
  alphasCumprod,
  betaOptions,
  defineScheduler,
  OrderedScheduler,
  predictClean,
  predictNoise,
  type StepCall,
  type StepResult,
  stepsOf,
  trainingLevel,
} from "../../stage.ts";

const options = z.object({
  ...betaOptions,
  /** What the network predicts: noise, or a mix of noise and picture. */
  prediction_type: z.enum(["epsilon", "v_prediction"]).default("epsilon"),
  /** 1 spreads the timesteps evenly. The larger it is, the closer together the last ones are. */
  easing: z.number().min(1).max(4).default(1.5),
});

/** The scheduler for one run. */
class EasedScheduler extends OrderedScheduler {
  readonly name = "EasedScheduler";
  readonly #type: "epsilon" | "v_prediction";
  readonly #alphas: Float32Array;

  constructor(config: z.output<typeof options>, steps: number) {
    const last = config.num_train_timesteps - 1;
    const timesteps = Array.from({ length: steps }, (_, index) => {
      const share = 1 - index / steps;
      return Math.max(steps - 1 - index, Math.round(last * share ** config.easing));
    });
    super({ timesteps });
    this.#type = config.prediction_type;
    this.#alphas = alphasCumprod(config);
  }

  protected advance({ output, index, sample }: StepCall): StepResult {
    const next = this.timesteps[index + 1];
    const here = trainingLevel(this.#alphas[this.timesteps[index]!]!);
    const there = trainingLevel(next === undefined ? 1 : this.#alphas[next]!);
    const clean = predictClean(this.#type, output, sample, here);
    const noise = predictNoise(this.#type, output, sample, here);
    return {
      sample: clean.map((value, i) => there.alpha * value + there.sigma * noise[i]!),
      predictedOriginal: clean,
    };
  }

  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array {
    return addTrainingNoise(this.#alphas, original, noise, timestep);
  }
}

export default defineScheduler({
  name: "EasedScheduler",
  shortNames: { eased: {}, eased_strongly: { easing: 3 } },
  description: "DDIM with more of its steps near the end",
  stochastic: "never",
  givesDenoised: true,
  options,
  support: {},
  build: (config, run) => new EasedScheduler(config, stepsOf(run, config.num_train_timesteps)),
});
