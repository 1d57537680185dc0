/**
 * The options of `gen`. They have the names that users of diffusers and stable-diffusion.cpp know.
 *
 * @module
 */

import { type Command, Option } from "commander";
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
import type { VaeTiling } from "../models/vae/tiling/tiled_vae_decoder.ts";
import { type Precision, type PrecisionByStage, PRECISIONS } from "../models/precision.ts";
import type { Residency } from "../models/segments.ts";
import { memorySize } from "../pixstage/byte_size.ts";
import { reportFile } from "./memory_timeline.ts";
import { parsePrecision, parseResidency } from "./per_stage_option.ts";
import type { Device } from "../runtime/device.ts";
import { lora, type LoraOption } from "./lora_option.ts";
import { MOST_THREADS } from "../runtime/threads.ts";

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
    .option(
      "--revision <name>",
      "branch, tag or commit of --model on the hub; write org/name@revision for other models",
    )
    .option("--variant <name>", "variant of the weights, such as fp16")
    .option("--local-files-only", "never download")
    .option("--cache-dir <dir>", "folder for downloads");
}

/** Adds the options that control where a run happens and what it prints. */
export function addRunOptions(command: Command): Command {
  return addPrintingOptions(
    addResourceOptions(command).option(
      "--memory-report [file]",
      "print the predicted and the measured memory of each stage at the end, or draw them to an .html or .svg file",
      reportFile,
    ),
  );
}

/** Adds the options that choose the device and limit the memory. */
export function addResourceOptions(command: Command): Command {
  return command
    .option(
      "--device <name>",
      "device to run on: cpu, webgpu, cuda, or cuda:1 for the second GPU; `devices` lists the available ones",
      device,
      "cpu",
    )
    .option(
      "--threads <n>",
      "threads per operation (default: all cores). The number changes the last bits of pictures",
      wholeNumber(1, MOST_THREADS),
    )
    .option(
      "--residency <policy>",
      "how long weights stay in memory: stream, stage or resident, or per stage, encode=stream,denoise=stage",
      parsedBy(parseResidency),
    )
    .option(
      "--max-memory <size>",
      "memory limit, such as 1.5GB; a bare number is in GB; 0 for no limit; -1GB for all free memory except 1 GB",
      byteSize(memorySize),
    )
    .option(
      "--max-gpu-memory <size>",
      "GPU memory limit, such as 3GB; a bare number is in GB; 0 for no limit",
      byteSize(memorySize),
    )
    .addOption(
      new Option("--lowest-precision <name>", "lowest precision that a memory limit may choose")
        .choices(PRECISIONS),
    );
}

/** Adds the options that control what a command prints. */
export function addPrintingOptions(command: Command): Command {
  return command
    .option("--json", "print events as JSON, one per line")
    .option("-q, --quiet", "print only errors")
    .option("-v, --verbose", "print all events to the standard error, and the stack trace of a bug");
}

/** Adds `--precision`, for commands that build their graph: a graph document contains its own precisions. */
export function addPrecisionOption(command: Command): Command {
  return command.option(
    "--precision <name>",
    "precision of the matrices: float32, int8, int8-blocks, int4-lowrank, int4, or float16 on a GPU; or per stage, encode=int8,denoise=float16 (default: float32)",
    parsedBy(parsePrecision),
  );
}

/** Adds the options for preparing prompts before they are encoded. */
export function addCaptionOptions(command: Command): Command {
  return command
    .option(
      "-n, --negative-prompt <text>",
      "what the pictures should not show; repeatable, one per prompt",
      texts,
    )
    .option("--no-clean-caption", "do not clean the prompts; only lowercase and trim them")
    .option("--max-sequence-length <n>", "maximum number of tokens used per prompt", wholeNumber(1));
}

/** Adds `--wildcards`, for commands that draw prompts with the seeds of their pictures. */
export function addWildcardsOption(command: Command): Command {
  return command.option(
    "--wildcards",
    "replace {red|blue} in prompts by one of the choices, drawn with each picture's seed",
  );
}

/** Adds the options of denoising: size, schedule, guidance, seeds. */
export function addDenoiseOptions(command: Command): Command {
  return command
    .option(
      "--transformer <dir|org/name>",
      "replacement transformer, such as a DMD student: a checkpoint, or a folder with only a transformer",
    )
    .option(
      "--second-transformer <dir|org/name>",
      "transformer for the last steps, for refiners and models published in two stages",
    )
    .option(
      "--second-transformer-from <share>",
      "when --second-transformer takes over, as a fraction of the noise schedule, such as 0.8",
      number,
    )
    .option(
      "--lora <file|dir|org/name[:weight]>",
      "LoRA for the transformer, such as sketch.safetensors:0.8; repeatable (default weight: 1)",
      lora,
    )
    .option("-W, --width <pixels>", "width of the pictures", wholeNumber(1))
    .option("-H, --height <pixels>", "height of the pictures", wholeNumber(1))
    .option("--steps <n>", "denoising steps", wholeNumber(1))
    .option(
      "--guidance-scale <x>",
      "how strongly the prompt guides the picture; 1 or less turns guidance off",
      number,
    )
    .addOption(
      new Option("--cfg-scale <x>", "alias of --guidance-scale").argParser(number).conflicts(
        "guidanceScale",
      ),
    )
    .option(
      "--guidance-interval <start,end>",
      "range of the steps with guidance, such as 0,0.5; steps without it take half the time (default: 0,1)",
      interval,
    )
    .option("--pag-scale <x>", "scale of perturbed attention guidance, usually 3 (default: 0, off)", amount)
    .option(
      "--pag-layers <pattern>",
      'regular expression for the names of the self-attentions to perturb; repeatable (default: "blocks.1")',
      texts,
    )
    .option(
      "--pag-adaptive-scale <x>",
      "how fast --pag-scale decreases with the timesteps (default: 0)",
      amount,
    )
    .option(
      "--step-cache <threshold>",
      "run only the first block of a step if its residual has changed by less than this fraction, such as 0.1 (default: off)",
      number,
    )
    .option("--controlnet <dir|org/name>", "ControlNet that guides the pictures by --control-image")
    .option("--control-image <file>", "control picture: edges, like those that the ControlNet was trained on")
    .option("--controlnet-scale <x>", "how closely the pictures follow --control-image (default: 1)", amount)
    .option(
      "--controlnet-interval <start,end>",
      "range of the steps that follow --control-image, such as 0,0.5 (default: 0,1)",
      interval,
    )
    .option("--scheduler <name>", "class name or short name of a scheduler; `schedulers` lists them")
    .option(
      "--scheduler-option <key=value>",
      "option of the scheduler, under its name in diffusers; repeatable",
      keyValue,
    )
    .option("--timesteps <n,n...>", "custom timesteps instead of --steps", amounts)
    .option("--sigmas <x,x...>", "custom sigmas instead of --steps", amounts)
    .option("--eta <x>", "fraction of fresh noise in each step of DDIM and TCD, from 0 to 1", amount)
    .option(
      "-s, --seed <n,n...>",
      'seed of the first picture, or a seed per picture; "random" draws one (default: 0)',
      seeds,
    )
    .option("-b, --batch-count <n>", "pictures per prompt (default: 1)", wholeNumber(1))
    .option(
      "--no-resolution-binning",
      "generate at exactly the requested size instead of the nearest trained size",
    )
    .addOption(
      new Option("--generator <name>", "random number generator: torch's on the CPU or on CUDA").choices([
        "torch-cpu",
        "torch-cuda",
      ]),
    )
    .option("--init-noise <file>", "initial noise: the tensor `latents` of a safetensors file");
}

/** Adds the options for pictures that a run starts from. */
export function addImageOptions(command: Command): Command {
  return command
    .option("--image <file>", "picture to start from: PNG, JPEG or WebP")
    .option(
      "--strength <x>",
      "how much to change --image, from 0 to 1: the fraction of the steps that are taken (default: 0.8; 1 with --mask)",
      number,
    )
    .option("--mask <file>", "picture of any size whose white area marks the part of --image to repaint")
    .option("--soft-mask", "repaint grey areas of --mask in part instead of treating them as black or white");
}

/** Adds the options of the autoencoder and of picture files. */
export function addPictureOptions(command: Command): Command {
  return addAutoencoderOptions(command)
    .option(
      "-o, --output <file>",
      "file for the picture; - for the standard output; %03d stands for the picture's number",
    )
    .addOption(
      new Option("--output-format <name>", "format of the pictures (default: by the file's extension)")
        .choices(["png", "jpeg", "webp"]),
    )
    .option("--save-tensor <file>", "save the decoded pictures as float32 `image` [n, 3, h, w]");
}

/** Adds the options of the autoencoder. */
export function addAutoencoderOptions(command: Command): Command {
  return command
    .option(
      "--vae <dir|org/name>",
      "replacement autoencoder: a checkpoint, or a folder with only an autoencoder",
    )
    .addOption(
      new Option("--vae-tiling <mode>", "how pictures are split into tiles during decoding (default: auto)")
        .choices(["auto", "none", "seamless", "blended"]),
    )
    .option("--vae-tile-size <pixels>", "side of each blended tile (default: 512)", wholeNumber(64))
    .option("--vae-tile-overlap <pixels>", "overlap of blended tiles (default: 128)", wholeNumber(0));
}

/** Adds the options of `gen`. */
export function addGenOptions(command: Command, defaultModel: string): Command {
  addRequestOptions(addPictureOptions(command), defaultModel)
    .option("--save-embeds <file>", "save the embeddings as safetensors")
    .option("--save-latents <file>", "save the latents as safetensors");
  return addRunOptions(command).addHelpText("after", EXAMPLES);
}

/** Adds the options that say which pictures a run makes, and where it starts and stops. */
export function addRequestOptions(command: Command, defaultModel: string): Command {
  addImageOptions(addDenoiseOptions(addCaptionOptions(addModelOptions(command, defaultModel))))
    .option("--prompts-file <file>", "file with more prompts, one per line");
  addWildcardsOption(command)
    .option("--load-embeds <file>", "start from saved embeddings; the text encoder is not needed")
    .option("--load-latents <file>", "start from saved latents; only the autoencoder is needed")
    .addOption(new Option("--until <stage>", "stop after a stage").choices(["encode", "denoise", "decode"]));
  return addPrecisionOption(command);
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
