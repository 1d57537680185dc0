// This module is browser compatible.

/**
 * The settings of a denoising run. The stage's parameters take precedence over the checkpoint's
 * recommendations, and these over the architecture's defaults. Only configurations are read, so bad values
 * are refused before any weight is read.
 *
 * @module
 */

import { oneOrEach } from "../../errors/expected_count.ts";
import { InputError } from "../../errors/pixstage_error.ts";
import { z } from "zod";
import type { JsonObject } from "../../artifacts/artifact.ts";
import type { DenoiserModel, PictureSize } from "../../models/architecture.ts";
import { architectureOfComponent } from "../../models/architectures.ts";
import {
  type Checkpoint,
  readScheduler,
  SCHEDULER_FILE,
  schedulerBeneath,
  type SchedulerConfig,
} from "../../models/checkpoint/checkpoint.ts";
import { UnsupportedArchitectureError } from "../../models/checkpoint/checkpoint_errors.ts";
import type { RunDefaults } from "../../models/checkpoint/run_defaults.ts";
import type { ModelReference, Models } from "../../models/models.ts";
import { precisionSchema } from "../../models/precision.ts";
import { seed64 } from "../../random/seed.ts";
import { allSchedulers, createScheduler, findScheduler, schedulerConfig } from "../../schedulers/mod.ts";
import type { Scheduler } from "../../schedulers/scheduler.ts";
import { modelParameters } from "../model.ts";
import { controlParameters, type ControlSettings, resolveControl } from "./control.ts";
import { lorasSchema } from "./loras.ts";
import { pagParameters, type PerturbedAttention, resolvePag } from "./perturbed_attention.ts";
import { beginFromPicture, type PictureBeginning, type PictureOutline } from "./picture.ts";
import { type StepInterval, stepIntervalSchema, type StepRange, stepsWithin } from "./step_interval.ts";

/** Maximum number of images whose seeds are made for one run. */
const MOST_IMAGES = 65_536;

/** Maximum length of a seed. Its conversion takes time that grows with the square of the length. */
const LONGEST_SEED = 100;
const RULE = "It must be a whole number";

// Without `abort`, the conversion below would follow a failed check.
const digits = z.string().max(LONGEST_SEED, { error: RULE, abort: true })
  .regex(/^-?\d+$/, { error: RULE, abort: true });
const seed = z.union([z.int(), digits]).refine((value) => {
  try {
    seed64(BigInt(value));
    return true;
  } catch {
    return false;
  }
}, "It must be a whole number from -2^63 to 2^64 - 1");

/** Parameters of the denoise stage. */
export const denoiseParameters = z.strictObject({
  ...modelParameters,
  /**
   * Another transformer: a checkpoint, or a folder that contains only a transformer. A scheduler next to it
   * is used too.
   */
  transformer: z.string().min(1).optional(),
  /** LoRA adapters applied to the transformer's weights. Their effects add up. */
  loras: lorasSchema.optional(),
  /** Number of denoising steps. The default is the checkpoint's own, or 20. */
  steps: z.int().min(1, "At least one step is needed").optional(),
  /** Custom timesteps in descending order, instead of `steps`. */
  timesteps: z.array(z.number().nonnegative()).min(1).optional(),
  /** Custom sigmas in descending order, instead of `steps`. */
  sigmas: z.array(z.number().nonnegative()).min(1).optional(),
  /** Guidance scale. Guidance is off at 1 and below. The default is the checkpoint's own, or 4.5. */
  guidanceScale: z.number().optional(),
  /**
   * The part of the steps that use guidance, e.g. [0.25, 0.75] for the middle half. The default is all steps.
   */
  guidanceInterval: stepIntervalSchema.optional(),
  ...pagParameters,
  /**
   * Skips all blocks but the first if the relative change of the first block's residual is at most this
   * value, and adds the residual that the other blocks had before. An approximation; off by default.
   */
  stepCache: z.number().positive().max(1).optional(),
  ...controlParameters,
  /** The scheduler's class or short name. The default is the checkpoint's own. */
  scheduler: z.string().min(1).optional(),
  /** Overrides for the scheduler's configuration, in diffusers' spelling. */
  schedulerOptions: z.record(z.string(), z.json()).optional(),
  /** Share of fresh noise in each step of DDIM and TCD, from 0 to 1. */
  eta: z.number().min(0).max(1).optional(),
  /** Fraction of the run to execute if it starts from a picture. The default is 0.8, or 1 with a mask. */
  strength: z.number().min(0).max(1).optional(),
  /** Height in pixels. The default is the checkpoint's own. */
  height: z.int().positive().optional(),
  /** Width in pixels. The default is the checkpoint's own. */
  width: z.int().positive().optional(),
  /**
   * Whether to render the picture at the nearest size that the model was trained for, and to crop it
   * afterwards.
   */
  resolutionBinning: z.boolean().default(true),
  /** Number of pictures per prompt. */
  imagesPerPrompt: z.int().min(1).default(1),
  /** One seed, to which the image's index is added, or one seed per image. */
  seeds: z.array(seed).min(1).default([0]),
  /** The random number generator to reproduce: torch's on a CPU, or on a CUDA device. */
  generator: z.enum(["torch-cpu", "torch-cuda"]).default("torch-cpu"),
  /** Precision of the blocks' matrices: as stored, or quantized. */
  precision: precisionSchema.default("float32"),
});

/** Parameters of the denoise stage, parsed. */
export type DenoiseParameters = z.infer<typeof denoiseParameters>;

/** Locations of a denoiser's parts. */
export interface DenoiserReference extends ModelReference {
  /** Another transformer: a checkpoint, or a folder that contains only a transformer. */
  readonly transformer?: string | undefined;
}

/**
 * A denoiser: the checkpoint's own transformer and scheduler, or those of another one. A DMD student and the
 * sizes of PixArt-Σ are published as transformers without the rest. They share text encoder and autoencoder
 * with a whole checkpoint.
 */
export interface Denoiser {
  /**
   * The checkpoint, which determines the kind of model, and whose autoencoder determines the size of latents.
   */
  readonly checkpoint: Checkpoint;
  /** The transformer's architecture. */
  readonly model: DenoiserModel;
  /** Recommended settings. A checkpoint's recommendations only apply to its own transformer. */
  readonly defaults: RunDefaults;
  /**
   * Reads the scheduler's configuration: the one next to another transformer, if there is one, or else the
   * checkpoint's.
   *
   * @param inherited Replaces the checkpoint's.
   */
  scheduler(inherited?: SchedulerConfig): Promise<SchedulerConfig>;
}

/**
 * Opens a denoiser. Reads configurations, but no weights.
 *
 * @param reference Locations of the parts.
 * @param models Opens checkpoints.
 * @param signal Stops a download.
 * @returns The denoiser.
 * @throws {UnsupportedArchitectureError} if the transformer's architecture is not that of the checkpoint.
 */
export async function openDenoiser(
  reference: DenoiserReference,
  models: Models,
  signal?: AbortSignal,
): Promise<Denoiser> {
  const checkpoint = await models.open(reference, signal);
  const { architecture, defaults } = checkpoint;
  if (reference.transformer === undefined) {
    const model = await architecture.denoiser(checkpoint, await checkpoint.component("transformer"));
    return {
      checkpoint,
      model,
      defaults,
      scheduler: async (inherited) => inherited ?? await checkpoint.scheduler(),
    };
  }
  const transformer = await models.component({ model: reference.transformer }, "transformer", signal);
  if (architectureOfComponent("transformer", transformer.className) !== architecture) {
    throw new UnsupportedArchitectureError(
      `Cannot denoise with ${transformer.name}: ${checkpoint.name} needs a transformer of ${architecture.name}, and ` +
        `this one's class is ${transformer.className}`,
    );
  }
  const { source } = transformer;
  return {
    checkpoint,
    model: await architecture.denoiser(checkpoint, transformer),
    defaults: {},
    scheduler: async (inherited) =>
      await source.exists(SCHEDULER_FILE)
        ? await readScheduler(source)
        : inherited ?? await checkpoint.scheduler(),
  };
}

/** The resolved settings of a denoising run. */
export interface DenoiseSettings {
  /** The guidance scale. */
  readonly guidanceScale: number;
  /** Whether any step has two branches, the prompt's and the negative prompt's. */
  readonly guided: boolean;
  /** The model calls with both branches if the run is guided. The others only have the prompt's branch. */
  readonly guidedCalls: StepRange;
  /** Whether all model calls have both branches. */
  readonly isAlwaysGuided: boolean;
  /** Perturbed attention guidance, or `undefined` if it is off. */
  readonly pag: PerturbedAttention | undefined;
  /** The ControlNet settings, or `undefined` if the run follows no picture. */
  readonly control: ControlSettings | undefined;
  /** Whether every model call predicts both branches of guidance, and nothing else. */
  readonly bothBranches: boolean;
  /** The requested size. */
  readonly size: PictureSize;
  /** The size at which pictures are denoised: one that the model was trained for, if binning is on. */
  readonly renderSize: PictureSize;
  /** The scheduler's class. */
  readonly schedulerName: string;
  /** Every option of the scheduler, in diffusers' spelling. Numbers can be infinite. */
  readonly schedulerConfig: JsonObject;
  /** Number of denoising steps. A step can take two model calls. */
  readonly steps: number;
  /** The timestep of each model call, for one image and one branch of guidance. */
  readonly timesteps: readonly number[];
  /** How the run starts, if it starts from a picture. */
  readonly picture?: PictureBeginning | undefined;
  /**
   * Whether the result is the denoised sample instead of the next one. α's pipeline does so with one step,
   * for DMD.
   */
  readonly returnsDenoised: boolean;
  /** Returns a newly initialized scheduler for one image, at the first call of the run. */
  createScheduler(): Scheduler;
}

/**
 * Resolves the settings of a denoising run.
 *
 * @param parameters The stage's parameters.
 * @param denoiser The denoiser.
 * @param picture The picture that the run starts from, if any. Its size is the default size.
 * @param followed The size of the picture that the run follows, which is the default without a picture to
 * start from.
 * @returns The settings.
 * @throws {InputError} if the model does not support the size, or the scheduler does not support the
 * schedule.
 */
export async function resolveDenoise(
  parameters: DenoiseParameters,
  denoiser: Denoiser,
  picture?: PictureOutline,
  followed?: PictureOutline["sizes"],
): Promise<DenoiseSettings> {
  const { checkpoint, defaults, model } = denoiser;
  const { steps: defaultSteps, guidanceScale: defaultGuidance } = checkpoint.architecture.defaults;
  const { timesteps, sigmas } = parameters;
  const guidanceScale = parameters.guidanceScale ?? defaults.guidanceScale ?? defaultGuidance;
  const isSized = parameters.height !== undefined || parameters.width !== undefined;
  const own = isSized ? undefined : picture?.sizes ?? followed;
  const { size, renderSize } = own ?? model.resolveSize({
    height: parameters.height ?? defaults.height,
    width: parameters.width ?? defaults.width,
  }, parameters.resolutionBinning);

  const named = parameters.scheduler ?? defaults.scheduler;
  const beneath = await schedulerBeneath(named, () => denoiser.scheduler());
  const name = named ?? beneath.className;
  const options = parameters.schedulerOptions ??
    (parameters.scheduler ? {} : defaults.schedulerOptions ?? {});
  const config = schedulerConfig(name, beneath.config, options);
  const steps = parameters.steps ?? defaults.steps ?? defaultSteps;
  const run = {
    steps: timesteps || sigmas ? parameters.steps : steps,
    timesteps,
    sigmas,
    eta: parameters.eta,
  };
  const beginningOf = (scheduler: Scheduler): PictureBeginning | undefined => {
    const whole = timesteps || sigmas ? scheduler.timesteps.length : steps;
    return picture && beginFromPicture(parameters.strength, picture, whole, scheduler);
  };
  const beginOf = (scheduler: Scheduler): number => beginningOf(scheduler)?.begin ?? 0;
  const scheduler = createScheduler(name, config, run, beginOf);
  const beginning = beginningOf(scheduler);
  const begin = beginning?.begin ?? 0;
  const create = (): Scheduler => {
    const created = createScheduler(name, config, run, beginOf);
    if (begin > 0) created.begin!(begin);
    return created;
  };
  // Fails here if the scheduler cannot start at that call.
  create();
  const calls = scheduler.timesteps.length - begin;
  const returnsDenoised = !picture && model.returnsDenoised(calls);
  if (returnsDenoised && !findScheduler(scheduler.name).definition.givesDenoised) {
    const others = allSchedulers().filter(({ givesDenoised }) => givesDenoised).map(({ name }) => name);
    throw new InputError(
      "invalid_value",
      `Cannot denoise in one step: ${scheduler.name} does not return the denoised sample. ` +
        `Choose one of ${others.join(", ")}, or use at least two steps`,
      { details: { field: "steps" } },
    );
  }
  const guidedCalls = stepsWithin(parameters.guidanceInterval, calls);
  const guided = guidanceScale > 1 && guidedCalls.first < guidedCalls.end;
  const isAlwaysGuided = guided && guidedCalls.first === 0 && guidedCalls.end === calls;
  const pag = resolvePag(parameters, model.selfAttentions);
  const control = resolveControl(parameters, calls);
  return {
    guidanceScale,
    guided,
    guidedCalls,
    isAlwaysGuided,
    pag,
    control,
    bothBranches: isAlwaysGuided && !pag && !control,
    size,
    renderSize,
    schedulerName: scheduler.name,
    schedulerConfig: config,
    steps: timesteps?.length ?? sigmas?.length ?? steps,
    timesteps: scheduler.timesteps.slice(begin),
    picture: beginning,
    returnsDenoised,
    createScheduler: create,
  };
}

/**
 * Returns the part of the steps that use guidance if it makes a difference. It makes none if no step or every
 * step uses guidance.
 */
export function effectiveInterval(
  { guidanceInterval }: Pick<DenoiseParameters, "guidanceInterval">,
  { guidanceScale, isAlwaysGuided }: Pick<DenoiseSettings, "guidanceScale" | "isAlwaysGuided">,
): StepInterval | undefined {
  return guidanceScale <= 1 || isAlwaysGuided ? undefined : guidanceInterval;
}

/**
 * Returns the settings that must stay the same from the first step of a denoising to the last, except the
 * seeds.
 *
 * @param parameters The stage's parameters.
 * @param settings The settings of the run.
 * @param shape Shape of one image's latents.
 */
export function fixedIdentity(
  { imagesPerPrompt, generator, stepCache }: DenoiseParameters,
  { schedulerConfig, timesteps, picture }: DenoiseSettings,
  shape: readonly number[],
): JsonObject {
  return {
    scheduler: schedulerConfig,
    timesteps,
    shape,
    imagesPerPrompt,
    generator,
    stepCache: stepCache ?? null,
    ...(picture ? { strength: picture.strength, begin: picture.begin } : {}),
  };
}

/**
 * Returns the seed of each image. Image i of a batch equals the image that seed + i makes alone.
 *
 * @param seeds One seed for all images, or one per image.
 * @param images Number of images.
 * @returns One seed per image.
 * @throws {InputError} if there are too many images, if there are several seeds, but not one per image, or if
 * one is out of range.
 */
export function imageSeeds(seeds: readonly (number | string)[], images: number): bigint[] {
  if (images > MOST_IMAGES) {
    throw new InputError(
      "invalid_value",
      `Cannot seed ${images} images: use at most ${MOST_IMAGES} per run`,
      { details: { field: "imagesPerPrompt" } },
    );
  }
  const given = seeds.map(BigInt);
  if (given.length !== 1 && given.length !== images) {
    throw new InputError(
      "invalid_value",
      `Cannot seed the images: expected ${oneOrEach(images, "seed")}, but there are ${given.length}`,
      { details: { field: "seeds" } },
    );
  }
  const all = given.length === 1
    ? Array.from({ length: images }, (_, image) => given[0]! + BigInt(image))
    : given;
  all.forEach(seed64);
  return all;
}
