// This module is browser compatible.

/**
 * What a denoising run takes: the parameters of the stage, over what the checkpoint recommends, over diffusers'
 * defaults. Reads configurations alone, so that bad values are refused before any weight is read.
 *
 * @module
 */

import { z } from "zod";
import type { JsonObject } from "../artifacts/artifact.ts";
import { type Checkpoint, schedulerBeneath } from "../models/checkpoint/checkpoint.ts";
import type { RunDefaults } from "../models/checkpoint/run_defaults.ts";
import { AutoencoderConfig, spatialFactor } from "../models/autoencoder_config.ts";
import { PixArtTransformerConfig } from "../models/pixart_transformer_config.ts";
import { classifyResolution } from "../models/resolution_bins.ts";
import { createScheduler, schedulerConfig } from "../schedulers/mod.ts";
import { precisionSchema } from "../residency/precision.ts";
import type { Scheduler } from "../schedulers/scheduler.ts";
import type { Denoiser } from "./denoiser.ts";
import { modelParameters } from "./model_parameters.ts";

const seed = z.union([z.int(), z.string().regex(/^-?\d+$/, "A seed is a whole number")]);

/** Parameters of the denoise stage. */
export const denoiseParameters = z.strictObject({
  ...modelParameters,
  /** Another transformer: a checkpoint, or a folder that holds a transformer alone. A scheduler beside it comes with it. */
  transformer: z.string().min(1).optional(),
  /** Denoising steps; the checkpoint's own, else 20. */
  steps: z.int().min(1, "At least one step is needed").optional(),
  /** Custom timesteps, falling, instead of steps. */
  timesteps: z.array(z.number().nonnegative()).min(1).optional(),
  /** Custom sigmas, falling, instead of steps. */
  sigmas: z.array(z.number().nonnegative()).min(1).optional(),
  /** How far the prompt pulls; guidance is off at 1 and below. The checkpoint's own, else 4.5. */
  guidanceScale: z.number().nonnegative().optional(),
  /** The scheduler's class or short name; the checkpoint's own otherwise. */
  scheduler: z.string().min(1).optional(),
  /** Laid over the scheduler's configuration, in diffusers' spelling. */
  schedulerOptions: z.record(z.string(), z.json()).optional(),
  /** Share of fresh noise in each step of DDIM, from 0 to 1. */
  eta: z.number().min(0).max(1).optional(),
  /** Height in pixels; the checkpoint's own otherwise. */
  height: z.int().positive().optional(),
  /** Width in pixels; the checkpoint's own otherwise. */
  width: z.int().positive().optional(),
  /** Whether to make the picture at the nearest size that the model was trained on, and crop it afterwards. */
  resolutionBinning: z.boolean().default(true),
  /** Pictures for each prompt. */
  imagesPerPrompt: z.int().min(1).default(1),
  /** One seed, to which the image's index is added, or one seed for each image. */
  seeds: z.array(seed).min(1).default([0]),
  /** Whose random numbers: those of torch on a CPU, or on a CUDA device. */
  generator: z.enum(["torch-cpu", "torch-cuda"]).default("torch-cpu"),
  /** Precision of the blocks' matrices: as they are stored, or quantized. */
  precision: precisionSchema.default("float32"),
});

/** Parameters of the denoise stage, parsed. */
export type DenoiseParameters = z.infer<typeof denoiseParameters>;

/** A size in pixels. */
export interface PictureSize {
  readonly height: number;
  readonly width: number;
}

/** All that a denoising run takes. */
export interface DenoiseSettings {
  /** The transformer's configuration. */
  readonly transformer: PixArtTransformerConfig;
  /** How far the prompt pulls. */
  readonly guidanceScale: number;
  /** The size asked for. */
  readonly size: PictureSize;
  /** The size made: one that the model was trained on, where binning is on. */
  readonly madeSize: PictureSize;
  /** Pixels per latent. */
  readonly spatialFactor: number;
  /** The scheduler's class. */
  readonly schedulerName: string;
  /** Every option of the scheduler, in diffusers' spelling; numbers may be infinite. */
  readonly schedulerConfig: JsonObject;
  /** Denoising steps; a step may take two calls of the model. */
  readonly steps: number;
  /** Calls of the model for one image and one half of guidance. */
  readonly calls: number;
  /** Whether the denoised sample is given instead of the next one: α's pipeline does so in one step, for DMD. */
  readonly returnsDenoised: boolean;
  /** Lays the scheduler out anew, for one image. */
  createScheduler(): Scheduler;
}

/** Schedulers whose step gives the denoised sample beside the next one, which α's pipeline takes in a run of one step. */
const GIVES_DENOISED: ReadonlySet<string> = new Set([
  "LCMScheduler",
  "DDPMScheduler",
  "DDIMScheduler",
  "EulerDiscreteScheduler",
  "EulerAncestralDiscreteScheduler",
  "HeunDiscreteScheduler",
]);

/** diffusers' defaults (`PixArtAlphaPipeline.__call__`). */
const DEFAULT_STEPS = 20;
const DEFAULT_GUIDANCE_SCALE = 4.5;

/** The guidance scale of a run; above 1 negative embeddings are needed. */
export function guidanceScaleOf(
  { guidanceScale, transformer }: Pick<DenoiseParameters, "guidanceScale" | "transformer">,
  { defaults }: Pick<Checkpoint, "defaults">,
): number {
  const recommended = transformer === undefined ? defaults.guidanceScale : undefined;
  return guidanceScale ?? recommended ?? DEFAULT_GUIDANCE_SCALE;
}

/**
 * Settles what a denoising run takes.
 *
 * @param parameters The stage's parameters.
 * @param denoiser The checkpoint, and its transformer or another.
 * @returns The settings.
 * @throws {RangeError} if a size or a schedule is one that the model or the scheduler cannot take.
 */
export async function settleDenoise(
  parameters: DenoiseParameters,
  denoiser: Denoiser,
): Promise<DenoiseSettings> {
  const { checkpoint, defaults } = denoiser;
  const transformer = PixArtTransformerConfig.parse(denoiser.transformer.config);
  const pixels = await pixelsPerLatent(checkpoint);
  const native = transformer.sample_size * pixels;
  const size = {
    height: parameters.height ?? defaults.height ?? native,
    width: parameters.width ?? defaults.width ?? native,
  };
  const madeSize = parameters.resolutionBinning
    ? classifyResolution(size.height, size.width, transformer.sample_size)
    : size;
  const multiple = pixels * transformer.patch_size;
  if (madeSize.height % multiple !== 0 || madeSize.width % multiple !== 0) {
    throw new RangeError(
      `Cannot denoise as height and width must be multiples of ${multiple}: current values are ${size.height} and ` +
        `${size.width}`,
    );
  }
  const named = parameters.scheduler ?? defaults.scheduler;
  const own = await schedulerBeneath(named, () => denoiser.scheduler());
  const { config, createScheduler } = schedulerFactory(parameters, defaults, own);
  const scheduler = createScheduler();
  const returnsDenoised = checkpoint.family === "alpha" && scheduler.timesteps.length === 1;
  if (returnsDenoised && !GIVES_DENOISED.has(scheduler.name)) {
    throw new RangeError(
      `Cannot denoise in one step as the scheduler must give the denoised sample: ${scheduler.name} does not. ` +
        `Choose one of ${[...GIVES_DENOISED].join(", ")}, or take two steps or more`,
    );
  }
  return {
    transformer,
    guidanceScale: guidanceScaleOf(parameters, checkpoint),
    size,
    madeSize,
    spatialFactor: pixels,
    schedulerName: scheduler.name,
    schedulerConfig: config,
    steps: parameters.timesteps?.length ?? parameters.sigmas?.length ?? stepsOf(parameters, defaults),
    calls: scheduler.timesteps.length,
    returnsDenoised,
    createScheduler,
  };
}

/** Pixels per latent, by the checkpoint's own autoencoder; 8, as all of PixArt, where it has none. */
async function pixelsPerLatent(checkpoint: Checkpoint): Promise<number> {
  if (!checkpoint.components.includes("vae")) return 8;
  return spatialFactor(AutoencoderConfig.parse((await checkpoint.component("vae")).config));
}

/** Denoising steps where no schedule is given. */
function stepsOf({ steps }: DenoiseParameters, defaults: RunDefaults): number {
  return steps ?? defaults.steps ?? DEFAULT_STEPS;
}

/** Puts the scheduler's class, configuration and schedule together. */
function schedulerFactory(
  parameters: DenoiseParameters,
  defaults: RunDefaults,
  own: { readonly className: string; readonly config: Readonly<Record<string, unknown>> },
): { config: JsonObject; createScheduler: () => Scheduler } {
  const { timesteps, sigmas, eta } = parameters;
  const name = parameters.scheduler ?? defaults.scheduler ?? own.className;
  const options = parameters.schedulerOptions ??
    (parameters.scheduler ? {} : defaults.schedulerOptions ?? {});
  const config = schedulerConfig(name, own.config, options);
  const steps = timesteps || sigmas ? parameters.steps : stepsOf(parameters, defaults);
  const run = {
    ...(steps === undefined ? {} : { steps }),
    ...(timesteps ? { timesteps } : {}),
    ...(sigmas ? { sigmas } : {}),
    ...(eta === undefined ? {} : { eta }),
  };
  return { config, createScheduler: () => createScheduler(name, config, run) };
}
