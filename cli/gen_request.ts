/**
 * Builds requests and runs from the options of `gen`.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { type PictureRequestInput, pictureRequestSchema } from "../graph/picture_request.ts";
import { parseValue } from "../errors/parse_value.ts";
import type { RunOptions } from "../graph/run_options.ts";
import type { TextToImageOptions } from "../graph/text_to_image.ts";
import type { LocalRunOptions } from "../local.ts";
import { optionOf } from "./name_option.ts";
import { hubView } from "./progress.ts";
import { memoryLimit } from "../runtime/memory_limit.ts";
import { loraRequest } from "./lora_option.ts";
import { pathOrName } from "./path_or_name.ts";
import { UsageError } from "./usage_error.ts";
import { systemMemory } from "../system/system_memory.ts";
import { userPath } from "./user_path.ts";
import type { GenOptions } from "./gen_options.ts";

/**
 * Checks that a run has exactly one starting point.
 *
 * @throws {UsageError} unless there are either prompts or a file to start from.
 */
export function checkBeginning(
  prompts: readonly string[],
  { loadEmbeds, loadLatents }: Pick<GenOptions, "loadEmbeds" | "loadLatents">,
): void {
  const begin = [
    prompts.length > 0 && "a prompt",
    loadEmbeds && "--load-embeds",
    loadLatents && "--load-latents",
  ].filter((given) => typeof given === "string");
  if (begin.length === 1) return;
  throw new UsageError(
    `Cannot start: give exactly one of a prompt, --load-embeds and --load-latents. ` +
      `Given: ${begin.join(" and ") || "none"}`,
  );
}

/** Returns the pictures that a run starts from or follows, as inputs of a graph. */
export function imageInputs(
  { image, mask, controlImage }: Pick<GenOptions, "image" | "mask" | "controlImage">,
): Pick<TextToImageOptions, "image" | "mask" | "controlImage"> {
  const named = (path: string | undefined) => path === undefined ? undefined : { file: userPath(path) };
  return { image: named(image), mask: named(mask), controlImage: named(controlImage) };
}

/**
 * Builds the request from the prompts and options.
 *
 * @param prompts The prompts.
 * @param options The options of the command.
 * @param embedded The number of prompts in a file of embeddings, which replaces the prompts.
 */
export function pictureRequest(
  prompts: readonly string[],
  options: GenOptions,
  embedded = 0,
): PictureRequestInput {
  const count = options.batchCount ?? seededCount(options.seed, prompts.length || embedded);
  const request: Record<keyof PictureRequestInput, unknown> = {
    prompts: [...prompts],
    wildcards: options.wildcards,
    model: modelReference(options),
    variant: options.variant,
    negativePrompt: options.negativePrompt,
    transformer: options.transformer === undefined ? undefined : pathOrName(options.transformer),
    secondTransformer: options.secondTransformer === undefined
      ? undefined
      : pathOrName(options.secondTransformer),
    secondTransformerFrom: options.secondTransformerFrom,
    loras: loraRequest(options),
    vae: options.vae === undefined ? undefined : pathOrName(options.vae),
    precision: options.precision,
    tiling: options.vaeTiling,
    tileSize: options.vaeTileSize,
    tileOverlap: options.vaeTileOverlap,
    steps: options.steps,
    timesteps: options.timesteps,
    sigmas: options.sigmas,
    guidanceScale: options.guidanceScale ?? options.cfgScale,
    guidanceInterval: options.guidanceInterval,
    stepCache: options.stepCache,
    pagScale: options.pagScale,
    pagLayers: options.pagLayers,
    pagAdaptiveScale: options.pagAdaptiveScale,
    controlnet: options.controlnet === undefined ? undefined : pathOrName(options.controlnet),
    controlnetScale: options.controlnetScale,
    controlnetInterval: options.controlnetInterval,
    scheduler: options.scheduler,
    schedulerOptions: options.schedulerOption,
    eta: options.eta,
    strength: options.strength,
    softMask: options.softMask,
    height: options.height,
    width: options.width,
    resolutionBinning: options.resolutionBinning,
    imagesPerPrompt: count,
    seeds: options.seed,
    generator: options.generator,
    cleanCaption: options.cleanCaption,
    maxSequenceLength: options.maxSequenceLength,
  };
  const given = Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined));
  parseValue(pictureRequestSchema, given, ({ path: [field = ""], problem }, options) => {
    const option = optionOf(String(field));
    return new InputError("invalid_value", `${option} ${problem}`, {
      ...options,
      details: { field: option },
    });
  });
  return given as PictureRequestInput;
}

/** Returns the number of pictures that several seeds ask for: one for each seed. */
function seededCount(seeds: readonly string[] | undefined, prompts: number): number | undefined {
  if (!seeds || seeds.length === 1 || seeds.length % Math.max(prompts, 1) !== 0) return undefined;
  return seeds.length / Math.max(prompts, 1);
}

/** Returns the reference of the checkpoint, including its revision. */
export function modelReference({ model, revision }: Pick<GenOptions, "model" | "revision">): string {
  const reference = pathOrName(model);
  return revision === undefined ? reference : `${reference}@${revision}`;
}

/** Returns the sources of the run's checkpoints, its device, and the view of downloads, for people if `json` is false. */
export function runOptions(
  options: Pick<
    GenOptions,
    "localFilesOnly" | "cacheDir" | "device" | "threads" | "residency" | "json" | "quiet" | "verbose"
  >,
  { json = options.json }: Pick<GenOptions, "json"> = {},
): LocalRunOptions {
  const { localFilesOnly, cacheDir, device, threads, residency, quiet, verbose } = options;
  return {
    device,
    threads,
    residency,
    localFilesOnly,
    cacheDir: cacheDir === undefined ? undefined : userPath(cacheDir),
    ...hubView({ json, quiet, verbose }),
  };
}

/** Returns the memory limits that the user set. */
export function memoryOptions(
  { maxMemory, maxGpuMemory, lowestPrecision }: Pick<
    GenOptions,
    "maxMemory" | "maxGpuMemory" | "lowestPrecision"
  >,
): Pick<RunOptions, "maxMemory" | "maxGpuMemory" | "lowestPrecision"> {
  const { available } = systemMemory();
  return {
    maxMemory: maxMemory === undefined ? undefined : memoryLimit(maxMemory, available),
    maxGpuMemory: maxGpuMemory === undefined ? undefined : memoryLimit(maxGpuMemory, 0),
    lowestPrecision,
  };
}
