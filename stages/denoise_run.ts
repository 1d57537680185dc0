// This module is browser compatible.

/**
 * What the stages that denoise share: settling, going on from a checkpoint, denoising image after image.
 *
 * @module
 */

import { type Artifact, ArtifactError } from "../artifacts/artifact.ts";
import { artifactId } from "../artifacts/artifact_file.ts";
import { type Embeddings, type PromptEmbedding, unpackEmbeddings } from "../artifacts/embeddings.ts";
import { imageLatents, unpackLatents } from "../artifacts/latents.ts";
import type { Tensor } from "../artifacts/tensor.ts";
import type { Checkpoint } from "../models/checkpoint/checkpoint.ts";
import { PixArtTransformer, type PreparedText } from "../models/pixart_runner.ts";
import { guidanceHalves } from "../residency/guidance_halves.ts";
import { stageResidency } from "../residency/stage_residency.ts";
import type { NoiseGenerator } from "../random/noise_generator.ts";
import { createGenerator, restoreGenerator } from "../random/create_generator.ts";
import {
  checkpointImages,
  checkpointInputs,
  type DenoiseIdentity,
  type DenoiseState,
  type ImageState,
  packDenoiseState,
} from "./denoise_checkpoint.ts";
import { denoiseImage } from "./denoise_loop.ts";
import { openDenoiser } from "./denoiser.ts";
import { type DenoiseParameters, type DenoiseSettings, settleDenoise } from "./denoise_settings.ts";
import { imageSeeds } from "./image_seeds.ts";
import { loadReport } from "./load_report.ts";
import { previewReport } from "./preview_report.ts";
import { stageWeights } from "./stage_weights.ts";
import type { CheckContext, InputArtifacts, StageContext } from "./stage.ts";

/** Input ports of the stages that denoise. */
export const denoiseInputs = {
  embeddings: {
    kind: "embeddings",
    description: "Prompts, with negative prompts where guidance is on; those of the checkpoint otherwise.",
    optional: true,
  },
  noise: { kind: "latents", description: "Initial noise instead of that of the seeds.", optional: true },
  checkpoint: { kind: "checkpoint", description: "The state to go on from.", optional: true },
} as const;

/** What the stages that denoise take. */
export interface DenoiseRunParameters extends DenoiseParameters {
  /** Whether guidance and embeddings may be others than those that the checkpoint was made with. */
  readonly allowChanges: boolean;
}

type DenoiseContext =
  & Omit<StageContext<DenoiseRunParameters>, "inputs">
  & { readonly inputs: InputArtifacts<typeof denoiseInputs> };

/** What came of a denoising. */
export interface DenoiseResult {
  /** The checkpoint of the model. */
  readonly checkpoint: Checkpoint;
  /** Sizes, schedule, guidance. */
  readonly settings: DenoiseSettings;
  /** The seed of each image. */
  readonly seeds: readonly bigint[];
  /** Shape of one image's latents, [1, channels, height, width]. */
  readonly shape: readonly number[];
  /** How far each image has come. */
  readonly state: DenoiseState;
}

/** Parameters that say nothing more once the settings stand, and those that say where the checkpoint lies. */
const SETTLED = [
  "model",
  "variant",
  "transformer",
  "scheduler",
  "schedulerOptions",
  "steps",
  "guidanceScale",
  "height",
  "width",
  "resolutionBinning",
];

/**
 * What the result of denoising depends on beside weights and inputs.
 *
 * @param context The parameters, and whoever opens the checkpoint.
 */
export async function settledDenoise(
  { parameters, models }: CheckContext<DenoiseRunParameters>,
): Promise<unknown> {
  const denoiser = await openDenoiser(parameters, models);
  const { transformer: _config, createScheduler: _create, ...settings } = await settleDenoise(
    parameters,
    denoiser,
  );
  const others = Object.entries(parameters).filter(([name]) => !SETTLED.includes(name));
  const { family, name } = denoiser.checkpoint;
  return { ...Object.fromEntries(others), seeds: parameters.seeds.map(String), ...settings, family, name };
}

/**
 * Refuses what can be refused before anything is loaded.
 *
 * @param context The parameters, whoever opens the checkpoint, and what is connected.
 * @returns The settings.
 */
export async function checkDenoise(
  { parameters, models, connected }: CheckContext<DenoiseRunParameters>,
): Promise<DenoiseSettings> {
  if (!connected.includes("embeddings") && !connected.includes("checkpoint")) {
    throw new TypeError("Cannot denoise as embeddings, or a checkpoint that holds them, must be connected");
  }
  return await settleDenoise(parameters, await openDenoiser(parameters, models));
}

/**
 * Denoises all images, each up to the call `stopAfter`, or to the end.
 *
 * @param context What the stage was given.
 * @param stopAfter Calls of the model after which each image rests.
 * @returns How far the images have come.
 */
export async function denoise(context: DenoiseContext, stopAfter = Infinity): Promise<DenoiseResult> {
  // 1. Settle sizes, schedule and seeds, and hold the inputs against them.
  const { parameters, inputs, models, runtime, signal, report } = context;
  const denoiser = await openDenoiser(parameters, models, signal);
  const { checkpoint } = denoiser;
  const settings = await settleDenoise(parameters, denoiser);
  const sources = { ...(inputs.checkpoint ? checkpointInputs(inputs.checkpoint) : {}), ...given(inputs) };
  const embeddings = unpackEmbeddings(sources["embeddings"]!);
  checkEmbeddings(embeddings, settings);
  const images = embeddings.prompts.length * parameters.imagesPerPrompt;
  const seeds = imageSeeds(parameters.seeds, images);
  const shape = latentShape(settings);
  const noise = sources["noise"] && givenNoise(sources["noise"], images, shape);

  // 2. Find how far the images have come already.
  const identity = await identify(parameters, settings, seeds, shape, sources["embeddings"]!);
  const last = Math.min(stopAfter, settings.calls);
  let states = new Map<number, ImageState>();
  const saved = context.checkpoint?.saved ?? inputs.checkpoint;
  if (saved) {
    const allowChanges = parameters.allowChanges && saved === inputs.checkpoint;
    states = checkpointImages(saved, identity, allowChanges);
    const step = [...states.values()].reduce((sum, { calls }) => sum + Math.min(calls, last), 0);
    report({ type: "stage:resumed", step, steps: images * last });
  }
  const result: DenoiseResult = {
    checkpoint,
    settings,
    seeds,
    shape,
    state: { identity, images: states, inputs: sources },
  };
  const unfinished = Array.from(seeds.keys()).filter((image) => (states.get(image)?.calls ?? 0) < last);
  if (unfinished.length === 0) return result;

  // 3. Open the transformer, and denoise image after image.
  const weights = await stageWeights(context, denoiser.transformer, "transformer", parameters.precision);
  await using transformer = PixArtTransformer.open(runtime, settings.transformer, weights, {
    residency: stageResidency(runtime, "denoise", weights),
    computeType: parameters.precision === "float16" ? "float16" : "float32",
    halves: guidanceHalves(runtime.device, settings.guidanceScale > 1, pictureTokens(settings, shape)),
    signal,
    onLoad: (progress) => report(loadReport("transformer", progress)),
  });
  const count = shape.reduce((product, size) => product * size, 1);
  let text: { prompt: number; halves: PreparedText[] } | undefined;
  for (const image of unfinished) {
    const prompt = Math.floor(image / parameters.imagesPerPrompt);
    if (text?.prompt !== prompt) {
      text = { prompt, halves: await prepareText(transformer, embeddings, prompt, context, settings) };
    }
    const before = states.get(image);
    const generator = generatorOf(parameters, seeds[image]!, before);
    const started = before ? before.sample : noise ? imageLatents(noise, image).data : generator.randn(count);
    await denoiseImage({
      transformer,
      settings,
      text: text.halves,
      generator,
      noise: started,
      shape,
      signal,
      before,
      stopAfter: last,
      onStep: async ({ index, timestep, state, sample, predictedOriginal }) => {
        const finished = index + 1 === settings.calls;
        states.set(image, finished ? state() : { ...state(), generator: generator.state() });
        report({
          type: "step",
          step: image * last + index + 1,
          steps: images * last,
          image,
          images,
          timestep,
        });
        if (context.previews && shape[1] === 4) {
          const latents = predictedOriginal ?? sample;
          report(await previewReport({ latents, shape, checkpoint, image, step: index + 1 }));
        }
        await context.checkpoint?.offer(() => packDenoiseState(result.state));
      },
    });
  }
  return result;
}

/** What is connected of the inputs that a checkpoint keeps. */
function given({ embeddings, noise }: DenoiseContext["inputs"]): Record<string, Artifact> {
  return { ...(embeddings ? { embeddings } : {}), ...(noise ? { noise } : {}) };
}

/** The text of the negative prompt and of the prompt, or of the prompt alone. */
async function prepareText(
  transformer: PixArtTransformer,
  { prompts, negatives }: Embeddings,
  prompt: number,
  { signal }: DenoiseContext,
  { guidanceScale }: DenoiseSettings,
): Promise<PreparedText[]> {
  const halves = guidanceScale > 1 ? [negatives![prompt]!, prompts[prompt]!] : [prompts[prompt]!];
  const prepared: PreparedText[] = [];
  for (const half of halves) prepared.push(await transformer.prepareText(half, { signal }));
  return prepared;
}

/** The image's own generator, where it stood. */
function generatorOf(
  { generator }: DenoiseRunParameters,
  seed: bigint,
  before: ImageState | undefined,
): NoiseGenerator {
  return before?.generator ? restoreGenerator(before.generator) : createGenerator(generator, seed);
}

/** What the state of this denoising depends on. */
async function identify(
  parameters: DenoiseRunParameters,
  settings: DenoiseSettings,
  seeds: readonly bigint[],
  shape: readonly number[],
  embeddings: Artifact,
): Promise<DenoiseIdentity> {
  return {
    fixed: {
      scheduler: settings.schedulerConfig,
      timesteps: settings.createScheduler().timesteps,
      shape,
      seeds: seeds.map(String),
      imagesPerPrompt: parameters.imagesPerPrompt,
      generator: parameters.generator,
    },
    changeable: { guidanceScale: settings.guidanceScale, embeddings: await artifactId(embeddings) },
  };
}

/** Tokens of one image: a patch each. */
function pictureTokens({ transformer }: DenoiseSettings, [, , height = 0, width = 0]: readonly number[]) {
  return (height / transformer.patch_size) * (width / transformer.patch_size);
}

/** The shape of one image's latents. */
function latentShape({ transformer, madeSize, spatialFactor }: DenoiseSettings): number[] {
  return [1, transformer.in_channels, madeSize.height / spatialFactor, madeSize.width / spatialFactor];
}

/** Refuses embeddings of another text encoder, and guidance without negative embeddings. */
function checkEmbeddings({ prompts, negatives }: Embeddings, settings: DenoiseSettings): void {
  const { text_channels } = settings.transformer;
  const channels = channelsOf(prompts);
  if (channels !== text_channels) {
    throw new ArtifactError(
      `Cannot use embeddings as this transformer takes ${text_channels} channels: they have ${channels}. ` +
        "Encode with the checkpoint that denoises",
    );
  }
  if (settings.guidanceScale > 1 && !negatives) {
    throw new ArtifactError(
      `Cannot guide as embeddings must hold negative_prompt_embeds: guidance scale is ${settings.guidanceScale}. ` +
        "Give negative embeddings, or a guidance scale of 1",
    );
  }
}

function channelsOf(prompts: readonly PromptEmbedding[]): number | undefined {
  return prompts[0]?.shape[1];
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
