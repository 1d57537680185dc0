// This module is browser compatible.

import { type Artifact, ArtifactError } from "../artifacts/artifact.ts";
import { embeddingsMetadataSchema, type PromptEmbedding, unpackEmbeddings } from "../artifacts/embeddings.ts";
import { imageLatents, unpackLatents } from "../artifacts/latents.ts";
import { type Tensor, tensor } from "../artifacts/tensor.ts";
import { PixArtTransformer, type PreparedText } from "../models/pixart_runner.ts";
import { createGenerator } from "../random/noise_generator.ts";
import { denoiseImage } from "./denoise_loop.ts";
import { denoiseParameters, type DenoiseSettings, settleDenoise } from "./denoise_settings.ts";
import { imageSeeds } from "./image_seeds.ts";
import { loadReport } from "./load_report.ts";
import { defineStage, type Stage } from "./stage.ts";

/**
 * The denoise stage: from noise to latents along the scheduler's timesteps, guided by text embeddings (the loop of
 * diffusers' pipeline_pixart_alpha.py and pipeline_pixart_sigma.py). Images go one after the other, and so do the two
 * halves of guidance: each image is the image that it would be alone, and only one set of activations is held.
 */
export const denoiseStage: Stage = defineStage({
  name: "denoise",
  version: "1",
  description: "Denoises latents with the checkpoint's transformer and a scheduler.",
  inputs: {
    embeddings: { kind: "embeddings", description: "Prompts, with negative prompts where guidance is on." },
    noise: { kind: "latents", description: "Initial noise instead of that of the seeds.", optional: true },
  },
  outputs: {
    latents: { kind: "latents", description: "Latents, before the division by the scaling factor." },
  },
  parameters: denoiseParameters,
  modelParts: ({ model, variant }) =>
    ["scheduler", "transformer"].map((component) => ({ model, variant, component })),
  async check({ parameters, models }) {
    await settleDenoise(parameters, await models.open(parameters));
  },
  async run(context) {
    // 1. Settle sizes, schedule and seeds, and hold the inputs against them.
    const { parameters, inputs, models, runtime, signal, report } = context;
    const checkpoint = await models.open(parameters, signal);
    const settings = await settleDenoise(parameters, checkpoint);
    const guided = settings.guidanceScale > 1;
    const { prompts, negatives } = unpackEmbeddings(inputs.embeddings);
    checkEmbeddings(prompts, settings);
    if (guided && !negatives) {
      throw new ArtifactError(
        `Cannot guide as embeddings must hold negative_prompt_embeds: guidance scale is ${settings.guidanceScale}. ` +
          "Give negative embeddings, or a guidance scale of 1",
      );
    }
    const images = prompts.length * parameters.imagesPerPrompt;
    const seeds = imageSeeds(parameters.seeds, images);
    const shape = latentShape(settings);
    const noise = inputs.noise && givenNoise(inputs.noise, images, shape);

    // 2. Open the transformer, and prepare what depends on the text alone.
    const { weights } = await checkpoint.component("transformer");
    await using transformer = await PixArtTransformer.open(runtime, settings.transformer, await weights(), {
      signal,
      onLoad: (progress) => report(loadReport("transformer", progress)),
    });

    // 3. Denoise image after image.
    const count = shape.reduce((product, size) => product * size, 1);
    const latents = new Float32Array(images * count);
    let text: { prompt: number; halves: PreparedText[] } | undefined;
    for (let image = 0; image < images; image++) {
      const prompt = Math.floor(image / parameters.imagesPerPrompt);
      if (text?.prompt !== prompt) {
        const halves = guided ? [negatives![prompt]!, prompts[prompt]!] : [prompts[prompt]!];
        text = { prompt, halves: [] };
        for (const half of halves) text.halves.push(await transformer.prepareText(half, { signal }));
      }
      const generator = createGenerator(parameters.generator, seeds[image]!);
      const result = await denoiseImage({
        transformer,
        settings,
        text: text.halves,
        generator,
        noise: noise ? imageLatents(noise, image).data : generator.randn(count),
        shape,
        signal,
        onStep: ({ index, timestep }) =>
          report({
            type: "step",
            step: image * settings.calls + index + 1,
            steps: images * settings.calls,
            image,
            images,
            timestep,
          }),
      });
      latents.set(result, image * count);
    }
    const { prompts: texts, negativePrompts } = embeddingsMetadataSchema.parse(inputs.embeddings.metadata);
    return {
      latents: {
        kind: "latents",
        tensors: { latents: tensor("float32", [images, ...shape.slice(1)], latents) },
        metadata: {
          size: { height: settings.size.height, width: settings.size.width },
          seeds: seeds.map(String),
          imagesPerPrompt: parameters.imagesPerPrompt,
          model: checkpoint.name,
          scheduler: settings.schedulerName,
          steps: settings.steps,
          guidanceScale: settings.guidanceScale,
          ...(texts ? { prompts: texts } : {}),
          ...(negativePrompts ? { negativePrompts } : {}),
        },
      },
    };
  },
});

/** The shape of one image's latents. */
function latentShape({ transformer, madeSize, spatialFactor }: DenoiseSettings): number[] {
  return [1, transformer.in_channels, madeSize.height / spatialFactor, madeSize.width / spatialFactor];
}

/** Refuses embeddings of another text encoder. */
function checkEmbeddings(prompts: readonly PromptEmbedding[], { transformer }: DenoiseSettings): void {
  const channels = prompts[0]?.shape[1];
  if (channels !== transformer.caption_channels) {
    throw new ArtifactError(
      `Cannot use embeddings as this transformer takes ${transformer.caption_channels} channels: they have ` +
        `${channels}. Encode with the checkpoint that denoises`,
    );
  }
}

/** Initial noise that was given, held against the images that are to be made. */
function givenNoise(artifact: Artifact, images: number, shape: readonly number[]): Tensor<"float32"> {
  const noise = unpackLatents(artifact, shape[1]!);
  const wanted = [images, ...shape.slice(1)];
  if (wanted.some((size, axis) => size !== noise.shape[axis])) {
    throw new ArtifactError(
      `Cannot use the initial noise as its shape must be [${wanted}]: it is [${noise.shape}]`,
    );
  }
  return noise;
}
