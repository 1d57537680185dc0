// This module is browser compatible.

import { z } from "zod";
import { embeddingsMetadataSchema } from "../artifacts/embeddings.ts";
import { tensor } from "../artifacts/tensor.ts";
import { adviseOnMemory } from "../models/out_of_memory.ts";
import { checkDenoise, denoise, denoiseInputs, settledDenoise } from "./denoise_run.ts";
import { denoiseParameters } from "./denoise_settings.ts";
import { openDenoiser, transformerPart } from "./denoiser.ts";
import { defineStage, type Stage } from "./stage.ts";

/** Parameters of the denoise stage. */
export const denoiseStageParameters = denoiseParameters.extend({
  /** Whether guidance and embeddings may be others than those that the checkpoint was made with. */
  allowChanges: z.boolean().default(false),
});

/** What takes less memory. */
export const LESS_MEMORY =
  'make a smaller picture, let weights stream (residency "stream"), allow precision "int8", or free memory';

/**
 * The denoise stage: from noise to latents along the scheduler's timesteps, guided by text embeddings (the loop of
 * diffusers' pipeline_pixart_alpha.py and pipeline_pixart_sigma.py). Images go one after the other, and so do the two
 * halves of guidance: each image is the image that it would be alone, and only one set of activations is held.
 */
export const denoiseStage: Stage = defineStage({
  name: "denoise",
  version: "3",
  description: "Denoises latents with the checkpoint's transformer and a scheduler.",
  inputs: denoiseInputs,
  outputs: {
    latents: { kind: "latents", description: "Latents, before the division by the scaling factor." },
  },
  parameters: denoiseStageParameters,
  modelParts: (parameters) => [transformerPart(parameters)],
  settle: (context) => settledDenoise(context),
  async check(context) {
    await checkDenoise(context);
    const { models, parameters } = context;
    await (await openDenoiser(parameters, models)).transformer.weights();
  },
  async run(context) {
    const { checkpoint, settings, seeds, shape, state } = await adviseOnMemory(
      "denoise",
      LESS_MEMORY,
      denoise(context),
    );
    const { parameters } = context;
    const count = shape.reduce((product, size) => product * size, 1);
    const latents = new Float32Array(seeds.length * count);
    for (const [image, { sample }] of state.images) latents.set(sample, image * count);
    const { prompts, negativePrompts } = embeddingsMetadataSchema.parse(
      state.inputs["embeddings"]?.metadata,
    );
    return {
      latents: {
        kind: "latents",
        tensors: { latents: tensor("float32", [seeds.length, ...shape.slice(1)], latents) },
        metadata: {
          size: { height: settings.size.height, width: settings.size.width },
          seeds: seeds.map(String),
          imagesPerPrompt: parameters.imagesPerPrompt,
          model: checkpoint.name,
          scheduler: settings.schedulerName,
          steps: settings.steps,
          guidanceScale: settings.guidanceScale,
          ...(prompts ? { prompts } : {}),
          ...(negativePrompts ? { negativePrompts } : {}),
        },
      },
    };
  },
});
