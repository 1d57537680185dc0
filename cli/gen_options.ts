/**
 * The options of `gen`. They have the names that users of diffusers and stable-diffusion.cpp know.
 *
 * @module
 */

import { availableMemory } from "node:process";
import { InputError } from "../errors/pixstage_error.ts";
import { pictureRequestSchema } from "../graph/picture_request.ts";
import { parseValue } from "../errors/parse_value.ts";
import { type Command, Option } from "commander";
import type { PictureRequestInput } from "../graph/picture_request.ts";
import type { RunOptions } from "../graph/run_options.ts";
import type { TextToImageOptions } from "../graph/text_to_image.ts";
import type { LocalRunOptions } from "../local.ts";
import {
  amount,
  amounts,
  byteSize,
  device,
  interval,
  keyValue,
  number,
  parsedBy,
  seeds,
  texts,
  wholeNumber,
} from "./option_values.ts";
import { optionOf } from "./name_option.ts";
import { hubView } from "./progress.ts";
import type { VaeTiling } from "../models/vae/tiling/tiled_vae_decoder.ts";
import { type Precision, type PrecisionByStage, PRECISIONS } from "../models/precision.ts";
import type { Residency } from "../models/segments.ts";
import { memorySize } from "../runtime/byte_size.ts";
import { memoryLimit } from "../runtime/memory_limit.ts";
import { reportFile } from "./memory_timeline.ts";
import { parsePrecision, parseResidency } from "./per_stage_option.ts";
import type { Device } from "../runtime/device.ts";
import { lora, type LoraOption, loraRequest } from "./lora_option.ts";
import { pathOrName } from "./path_or_name.ts";
import { UsageError } from "./usage_error.ts";
import { MOST_THREADS } from "../runtime/threads.ts";
import { userPath } from "./user_path.ts";

/** The parsed options of `gen`. Paths are as the user gave them. */
export interface GenOptions {
  readonly model: string;
  readonly revision?: string;
  readonly variant?: string;
  readonly localFilesOnly?: boolean;
  readonly cacheDir?: string;
  readonly transformer?: string;
  readonly secondTransformer?: string;
  readonly secondTransformerFrom?: number;
  readonly lora?: readonly LoraOption[];
  readonly promptsFile?: string;
  readonly wildcards?: boolean;
  readonly vae?: string;
  readonly vaeTiling?: VaeTiling;
  readonly vaeTileSize?: number;
  readonly vaeTileOverlap?: number;
  readonly negativePrompt?: string[];
  readonly width?: number;
  readonly height?: number;
  readonly steps?: number;
  readonly guidanceScale?: number;
  readonly cfgScale?: number;
  readonly guidanceInterval?: [number, number];
  readonly stepCache?: number;
  readonly pagScale?: number;
  readonly pagLayers?: string[];
  readonly pagAdaptiveScale?: number;
  readonly controlnet?: string;
  readonly controlImage?: string;
  readonly controlnetScale?: number;
  readonly controlnetInterval?: [number, number];
  readonly scheduler?: string;
  readonly schedulerOption?: Record<string, unknown>;
  readonly timesteps?: number[];
  readonly sigmas?: number[];
  readonly eta?: number;
  readonly seed?: string[];
  readonly batchCount?: number;
  readonly resolutionBinning: boolean;
  readonly cleanCaption: boolean;
  readonly maxSequenceLength?: number;
  readonly generator?: "torch-cpu" | "torch-cuda";
  readonly initNoise?: string;
  readonly image?: string;
  readonly strength?: number;
  readonly mask?: string;
  readonly softMask?: boolean;
  readonly saveEmbeds?: string;
  readonly loadEmbeds?: string;
  readonly saveLatents?: string;
  readonly loadLatents?: string;
  readonly until?: "encode" | "denoise" | "decode";
  readonly output?: string;
  readonly outputFormat?: "png" | "jpeg" | "webp";
  readonly saveTensor?: string;
  readonly device: Device;
  readonly threads?: number;
  readonly residency?: Readonly<Record<string, Residency>>;
  readonly precision?: PrecisionByStage;
  readonly maxMemory?: number;
  readonly maxGpuMemory?: number;
  /** `true` for a table, or the file for a drawing. */
  readonly memoryReport?: boolean | string;
  readonly lowestPrecision?: Precision;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** Adds the options that choose a checkpoint. */
export function addModelOptions(command: Command, defaultModel: string): Command {
  return command
    .option("-m, --model <dir|org/name>", "checkpoint in diffusers' folder layout", defaultModel)
    .option("--revision <name>", "branch, tag or commit of --model on the hub; org/name@revision elsewhere")
    .option("--variant <name>", "variant of the weights, such as fp16")
    .option("--local-files-only", "never download")
    .option("--cache-dir <dir>", "where downloads are kept");
}

/** Adds the options that control where a run happens and what it prints. */
export function addRunOptions(command: Command): Command {
  return command
    .option(
      "--device <name>",
      "where to run: cpu, webgpu, cuda, or cuda:1 for the second GPU; `devices` lists what is here",
      device,
      "cpu",
    )
    .option(
      "--threads <n>",
      "threads of one operation; all cores otherwise. Pictures differ in the last bits with their number",
      wholeNumber(1, MOST_THREADS),
    )
    .option(
      "--residency <policy>",
      "stream, stage or resident, or encode=stream,denoise=stage: how long weights are held",
      parsedBy(parseResidency),
    )
    .option(
      "--max-memory <size>",
      "memory to stay within, such as 1.5GB, a bare number in GB; 0 for no limit; -1GB for the free memory less that",
      byteSize(memorySize),
    )
    .option(
      "--max-gpu-memory <size>",
      "GPU memory to stay within, such as 3GB, a bare number in GB; 0 for no limit",
      byteSize(memorySize),
    )
    .addOption(
      new Option("--lowest-precision <name>", "the lowest precision that a limit of memory may choose")
        .choices(PRECISIONS),
    )
    .option(
      "--memory-report [file]",
      "tell at the end what each stage took, predicted beside measured; drawn over time if the file is .html or .svg",
      reportFile,
    )
    .option("--json", "print one event a line")
    .option("-q, --quiet", "print nothing but errors")
    .option("-v, --verbose", "print every event to the standard error, and the trace of a fault");
}

/** Adds `--precision`, for commands that build their graph: a graph document contains its own precisions. */
export function addPrecisionOption(command: Command): Command {
  return command.option(
    "--precision <name>",
    "float32, int8, int8-blocks, int4, or float16 on a GPU, or encode=int8,denoise=float16: of the matrices (default: float32)",
    parsedBy(parsePrecision),
  );
}

/** Adds the options for preparing prompts before they are encoded. */
export function addCaptionOptions(command: Command): Command {
  return command
    .option(
      "-n, --negative-prompt <text>",
      "what the pictures should not show; repeatable, one for each prompt",
      texts,
    )
    .option("--no-clean-caption", "leave the prompts as they are but for case and outer blanks")
    .option("--max-sequence-length <n>", "tokens of a prompt that are used", wholeNumber(1));
}

/** Adds the options of denoising: size, schedule, guidance, seeds. */
export function addDenoiseOptions(command: Command): Command {
  return command
    .option(
      "--transformer <dir|org/name>",
      "another transformer, such as a DMD student: a checkpoint, or a folder that holds one alone",
    )
    .option(
      "--second-transformer <dir|org/name>",
      "transformer that takes the last steps, as models of two stages and refiners are published",
    )
    .option(
      "--second-transformer-from <share>",
      "where it takes over: the share of the noise schedule that is over, such as 0.8",
      number,
    )
    .option(
      "--lora <file|dir|org/name[:weight]>",
      "LoRA over the transformer, such as sketch.safetensors:0.8; repeatable (default weight: 1)",
      lora,
    )
    .option("-W, --width <pixels>", "width of the pictures", wholeNumber(1))
    .option("-H, --height <pixels>", "height of the pictures", wholeNumber(1))
    .option("--steps <n>", "denoising steps", wholeNumber(1))
    .option("--guidance-scale <x>", "how far the prompt pulls; guidance is off at 1 and below", number)
    .addOption(
      new Option("--cfg-scale <x>", "the same as --guidance-scale").argParser(number).conflicts(
        "guidanceScale",
      ),
    )
    .option(
      "--guidance-interval <start,end>",
      "the part of the steps that are guided, such as 0,0.5; the others take half the time (default: 0,1)",
      interval,
    )
    .option("--pag-scale <x>", "perturbed attention guidance, 3 is usual (default: 0, off)", amount)
    .option(
      "--pag-layers <pattern>",
      'regular expression that finds the self-attentions to perturb; repeatable (default: "blocks.1")',
      texts,
    )
    .option("--pag-adaptive-scale <x>", "how fast --pag-scale falls with the timesteps (default: 0)", amount)
    .option(
      "--step-cache <threshold>",
      "run the first block alone where what it adds has changed by less than this share, such as 0.1 (default: off)",
      number,
    )
    .option("--controlnet <dir|org/name>", "ControlNet that makes the pictures follow --control-image")
    .option("--control-image <file>", "picture that is followed: edges, as the ControlNet was trained on")
    .option("--controlnet-scale <x>", "how closely it is followed (default: 1)", amount)
    .option(
      "--controlnet-interval <start,end>",
      "the part of the steps that follow it, such as 0,0.5 (default: 0,1)",
      interval,
    )
    .option("--scheduler <name>", "class or short name of a scheduler; `schedulers` lists them")
    .option(
      "--scheduler-option <key=value>",
      "option of the scheduler, in diffusers' spelling; repeatable",
      keyValue,
    )
    .option("--timesteps <n,n...>", "custom timesteps instead of steps", amounts)
    .option("--sigmas <x,x...>", "custom sigmas instead of steps", amounts)
    .option("--eta <x>", "share of fresh noise in the steps of DDIM and TCD, 0 to 1", amount)
    .option(
      "-s, --seed <n,n...>",
      'seed of the first picture, or of each; "random" draws one (default: 0)',
      seeds,
    )
    .option("-b, --batch-count <n>", "pictures for each prompt (default: 1)", wholeNumber(1))
    .option("--no-resolution-binning", "make the picture at the very size that is asked for")
    .addOption(
      new Option("--generator <name>", "whose random numbers").choices(["torch-cpu", "torch-cuda"]),
    )
    .option("--init-noise <file>", "initial noise: the tensor `latents` of a safetensors file");
}

/** Adds the options for pictures that a run starts from. */
export function addImageOptions(command: Command): Command {
  return command
    .option("--image <file>", "begin from a picture: PNG, JPEG or WebP")
    .option(
      "--strength <x>",
      "how far the picture is changed, 0 to 1: the share of the steps that is taken (default: 0.8, with --mask 1)",
      number,
    )
    .option("--mask <file>", "repaint a part of --image alone: what is white in this picture, of any size")
    .option("--soft-mask", "let greys of --mask repaint in part; they count as white or black otherwise");
}

/** Adds the options of the autoencoder and of picture files. */
export function addPictureOptions(command: Command): Command {
  return command
    .option("--vae <dir|org/name>", "another autoencoder: a checkpoint, or a folder that holds one alone")
    .addOption(
      new Option("--vae-tiling <mode>", "how pictures are cut while they are decoded (default: auto)")
        .choices(["auto", "none", "seamless", "blended"]),
    )
    .option("--vae-tile-size <pixels>", "side of a blended tile (default: 512)", wholeNumber(64))
    .option("--vae-tile-overlap <pixels>", "pixels that blended tiles share (default: 128)", wholeNumber(0))
    .option(
      "-o, --output <file>",
      "where the picture goes, - for the standard output; %03d in its name stands for its number",
    )
    .addOption(
      new Option("--output-format <name>", "format of the pictures; by the file's ending otherwise")
        .choices(["png", "jpeg", "webp"]),
    )
    .option("--save-tensor <file>", "save the decoded pictures as float32 `image` [n, 3, h, w]");
}

/** Adds the options of `gen`. */
export function addGenOptions(command: Command, defaultModel: string): Command {
  addPictureOptions(
    addImageOptions(addDenoiseOptions(addCaptionOptions(addModelOptions(command, defaultModel)))),
  )
    .option("--prompts-file <file>", "more prompts, one a line")
    .option("--wildcards", "let {red|blue} in prompts stand for one of them, drawn by each picture's seed")
    .option("--save-embeds <file>", "save the embeddings as safetensors")
    .option("--load-embeds <file>", "begin from saved embeddings; no text encoder is needed")
    .option("--save-latents <file>", "save the latents as safetensors")
    .option("--load-latents <file>", "begin from saved latents; only the autoencoder is needed")
    .addOption(new Option("--until <stage>", "stop after a stage").choices(["encode", "denoise", "decode"]));
  return addRunOptions(addPrecisionOption(command)).addHelpText("after", EXAMPLES);
}

const EXAMPLES = `
Examples:
  deno task gen "cute cat"
  deno task gen "a red car" "a blue car" --steps 12 --seed 7 -o car-%03d.png
  deno task gen "a castle" -m PixArt-alpha/PixArt-XL-2-1024-MS --scheduler euler
  deno task gen "a castle" --save-embeds castle.safetensors --until encode
  deno task gen --load-embeds castle.safetensors --seed 1,2,3 -o castle-%03d.webp
  deno task gen "a castle in winter" --image castle.png --strength 0.6
  deno task gen "a red door" --image castle.png --mask door.png`;

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
    `Cannot begin as one of a prompt, --load-embeds and --load-latents must be given: ` +
      `given are ${begin.join(" and ") || "none"}`,
  );
}

/** Returns the pictures that a run starts from or follows, as inputs of a graph. */
export function imageInputs(
  { image, mask, controlImage }: Pick<GenOptions, "image" | "mask" | "controlImage">,
): Pick<TextToImageOptions, "image" | "mask" | "controlImage"> {
  const named = (path: string | undefined) => path === undefined ? undefined : { file: userPath(path) };
  return { image: named(image), mask: named(mask), controlImage: named(controlImage) };
}

/** Builds the request from the prompts and options. */
export function pictureRequest(prompts: readonly string[], options: GenOptions): PictureRequestInput {
  const count = options.batchCount ?? seededCount(options.seed, prompts.length);
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

/** Returns where the run finds checkpoints, and the device that it runs on. */
export function runOptions(
  options: Pick<
    GenOptions,
    "localFilesOnly" | "cacheDir" | "device" | "threads" | "residency" | "json" | "quiet" | "verbose"
  >,
): LocalRunOptions {
  const { localFilesOnly, cacheDir, device, threads, residency } = options;
  return {
    device,
    threads,
    residency,
    localFilesOnly,
    cacheDir: cacheDir === undefined ? undefined : userPath(cacheDir),
    ...hubView(options),
  };
}

/** Returns the memory limits that the user set. */
export function memoryOptions(
  { maxMemory, maxGpuMemory, lowestPrecision }: Pick<
    GenOptions,
    "maxMemory" | "maxGpuMemory" | "lowestPrecision"
  >,
): Pick<RunOptions, "maxMemory" | "maxGpuMemory" | "lowestPrecision"> {
  const available = availableMemory();
  return {
    maxMemory: maxMemory === undefined ? undefined : memoryLimit(maxMemory, available),
    maxGpuMemory: maxGpuMemory === undefined ? undefined : memoryLimit(maxGpuMemory, 0),
    lowestPrecision,
  };
}
