/**
 * A call of diffusers' PixArt pipelines, run in pixstage.
 *
 * @module
 */

import { unpackEmbeddings } from "../../artifacts/embeddings.ts";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import type { Tensor } from "../../artifacts/tensor.ts";
import { toPixstageError } from "../../errors/foreign_error.ts";
import type { PictureRequestInput } from "../../graph/picture_request.ts";
import { runGraph } from "../../graph/run.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { resizeAndCrop } from "../../images/resize_and_crop.ts";
import { localRun } from "../../local.ts";
import { TorchGenerator } from "../../random/torch_generator.ts";
import { denoiseParameters, openDenoiser, resolveDenoise } from "../../stages/denoise/settings.ts";
import { goldenPath } from "../goldens.ts";
import type { PipelineCall } from "./pipeline_call.ts";

/** The results of a call in pixstage. */
export interface PixstageCall {
  /** Embeddings of the prompts' real tokens. */
  readonly prompts: readonly Float32Array[];
  /** Embeddings of the negative prompts' real tokens, if the call uses guidance. */
  readonly negatives: readonly Float32Array[] | undefined;
  /** Latents before the first step. */
  readonly firstLatents: Float32Array;
  /** Latents after the last step. */
  readonly finalLatents: Float32Array;
  /** Shape of the latents. */
  readonly shape: readonly number[];
  /** Pictures from -1 to 1. */
  readonly image: Tensor<"float32">;
}

const local = localRun({ threads: 1, residency: { "*": "resident" } });

/** Runs a call. Returns its results, or the error with which it was refused. */
export async function pixstageCall(call: PipelineCall): Promise<PixstageCall | { readonly error: string }> {
  try {
    return await run(call);
  } catch (error) {
    const { code, fault, message } = toPixstageError(error);
    if (fault !== "caller") throw error;
    return { error: `${code}: ${message}` };
  }
}

async function run(call: PipelineCall): Promise<PixstageCall> {
  const graph = textToImage(requestOf(call), { pair: true });
  const wanted = ["prompt.embeddings", "negative.embeddings", "denoise.latents", "decode.image"];
  const made = await runGraph(graph, { ...local, store: new MemoryStore(), outputs: wanted });
  const data = (output: string) => {
    const artifact = made.get(output)?.artifact;
    return artifact && unpackEmbeddings(artifact).prompts.map((prompt) => prompt.data);
  };
  const latents = made.get("denoise.latents")!.artifact.tensors["latents"]!;
  const image = made.get("decode.image")!.artifact.tensors["image"] as Tensor<"float32">;
  return {
    prompts: data("prompt.embeddings")!,
    negatives: data("negative.embeddings"),
    firstLatents: await firstLatents(graph, latents.shape, BigInt(call.seed)),
    finalLatents: latents.data as Float32Array,
    shape: latents.shape,
    image: resizeAndCrop(image, call.call.height, call.call.width),
  };
}

function requestOf({ checkpoint, scheduler, options, call, seed }: PipelineCall): PictureRequestInput {
  const isListed = call.timesteps !== undefined || call.sigmas !== undefined;
  return {
    model: goldenPath(`checkpoints/${checkpoint}`),
    prompts: call.prompt,
    negativePrompt: call.negative_prompt ?? "",
    steps: isListed ? undefined : call.num_inference_steps,
    timesteps: call.timesteps,
    sigmas: call.sigmas,
    eta: call.eta,
    guidanceScale: call.guidance_scale,
    imagesPerPrompt: call.num_images_per_prompt,
    height: call.height,
    width: call.width,
    resolutionBinning: call.use_resolution_binning,
    cleanCaption: call.clean_caption,
    maxSequenceLength: call.max_sequence_length,
    scheduler,
    schedulerOptions: options,
    seeds: [seed],
  };
}

/** Returns the noise of each picture's seed at the level where its schedule starts. */
async function firstLatents(
  graph: ReturnType<typeof textToImage>,
  [images, ...shape]: readonly number[],
  seed: bigint,
): Promise<Float32Array> {
  const parsed = denoiseParameters.parse(graph.nodes["denoise"]!.parameters);
  const settings = await resolveDenoise(parsed, await openDenoiser(parsed, local.models));
  const { initNoiseSigma } = settings.createScheduler();
  const size = shape.reduce((product, axis) => product * axis, 1);
  const latents = new Float32Array(images! * size);
  for (let image = 0; image < images!; image++) {
    const noise = new TorchGenerator(seed + BigInt(image)).randn(size);
    latents.set(noise.map((value) => value * initNoiseSigma), image * size);
  }
  return latents;
}
