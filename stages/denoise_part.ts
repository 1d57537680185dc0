// This module is browser compatible.

import { z } from "zod";
import { adviseOnMemory } from "../models/out_of_memory.ts";
import { packDenoiseState } from "./denoise_checkpoint.ts";
import { checkDenoise, denoise, denoiseInputs, settledDenoise } from "./denoise_run.ts";
import { denoiseStageParameters, LESS_MEMORY } from "./denoise.ts";
import { transformerPart } from "./denoiser.ts";
import { defineStage, type Stage } from "./stage.ts";

const denoisePartParameters = denoiseStageParameters.extend({
  /** Steps, as progress counts them, after which each image rests. */
  stopAfter: z.int().min(1, "At least one step is needed"),
});

/**
 * The first steps of the denoise stage: what it gives can go on elsewhere, later, or with another prompt or guidance, as
 * the input `checkpoint` of another `denoise` or `denoise-part`.
 */
export const denoisePartStage: Stage = defineStage({
  name: "denoise-part",
  version: "3",
  description: "Takes some steps of denoising, and gives the state to go on from.",
  inputs: denoiseInputs,
  outputs: {
    checkpoint: { kind: "checkpoint", description: "The state of each image after the steps." },
  },
  parameters: denoisePartParameters,
  modelParts: (parameters) => [transformerPart(parameters)],
  settle: (context) => settledDenoise(context),
  async check(context) {
    const { calls } = await checkDenoise(context);
    const { stopAfter } = context.parameters;
    if (stopAfter >= calls) {
      throw new RangeError(
        `Cannot stop after step ${stopAfter} as there must be steps left: the run has ${calls}`,
      );
    }
  },
  async run(context) {
    const { stopAfter } = context.parameters;
    const { state } = await adviseOnMemory("denoise", LESS_MEMORY, denoise(context, stopAfter));
    return { checkpoint: packDenoiseState(state) };
  },
});
