// This module is browser compatible.

/**
 * The settings of a denoising run: the parameters of the stage, over the checkpoint's recommendations, over the
 * architecture's defaults. Reads configurations alone, so that bad values are refused before any weight is read.
 *
 * @module
 */

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

const seed = z.union([z.int(), z.string().regex(/^-?\d+$/, "It must be a whole number")]).refine((value) => {
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
  /** Another transformer: a checkpoint, or a folder that holds a transformer alone. A scheduler beside it comes with it. */
  transformer: z.string().min(1).optional(),
  /** LoRA adapters over the transformer's weights; their effects add up. */
  loras: lorasSchema.optional(),
  /** Denoising steps; the checkpoint's own, else 20. */
  steps: z.int().min(1, "At least one step is needed").optional(),
  /** Custom timesteps, falling, instead of steps. */
  timesteps: z.array(z.number().nonnegative()).min(1).optional(),
  /** Custom sigmas, falling, instead of steps. */
  sigmas: z.array(z.number().nonnegative()).min(1).optional(),
  /** How far the prompt pulls; guidance is off at 1 and below. The checkpoint's own, else 4.5. */
  guidanceScale: z.number().optional(),
  /** The part of the steps that are guided: [0.25, 0.75] is the half in the middle. All unless given. */
  guidanceInterval: stepIntervalSchema.optional(),
  ...pagParameters,
  /**
   * Up to which relative change of what the network's first block adds the other blocks are not run: what they added before
   * is added again. An approximation; off unless given.
   */
  stepCache: z.number().positive().max(1).optional(),
  ...controlParameters,
  /** The scheduler's class or short name; the checkpoint's own otherwise. */
  scheduler: z.string().min(1).optional(),
  /** Laid over the scheduler's configuration, in diffusers' spelling. */
  schedulerOptions: z.record(z.string(), z.json()).optional(),
  /** Share of fresh noise in each step of DDIM and TCD, from 0 to 1. */
  eta: z.number().min(0).max(1).optional(),
  /** How much of the run is taken where it begins from a picture; 0.8 unless given, with a mask 1. */
  strength: z.number().min(0).max(1).optional(),
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

/** Where the parts of a denoiser lie. */
export interface DenoiserReference extends ModelReference {
  /** Another transformer: a checkpoint, or a folder that holds a transformer alone. */
  readonly transformer?: string | undefined;
}

/**
 * A denoiser: the checkpoint's own transformer and scheduler, or those of another one. A DMD student and the sizes of
 * PixArt-Σ are published as a transformer alone, which shares text encoder and autoencoder with a whole checkpoint.
 */
export interface Denoiser {
  /** The checkpoint: its kind, and the autoencoder that says how large latents are. */
  readonly checkpoint: Checkpoint;
  /** What the transformer is. */
  readonly model: DenoiserModel;
  /** The recommendations for it. A checkpoint's recommendations hold for its own transformer alone. */
  readonly defaults: RunDefaults;
  /** Reads the scheduler's configuration: the one beside another transformer, where there is one, else the checkpoint's. */
  scheduler(): Promise<SchedulerConfig>;
}

/**
 * Opens a denoiser: configurations, no weights.
 *
 * @param reference Where the parts lie.
 * @param models Opens checkpoints.
 * @param signal Stops a download.
 * @returns The denoiser.
 * @throws {UnsupportedArchitectureError} if the transformer is of another architecture than the checkpoint.
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
    return { checkpoint, model, defaults, scheduler: () => checkpoint.scheduler() };
  }
  const transformer = await models.component({ model: reference.transformer }, "transformer", signal);
  if (architectureOfComponent("transformer", transformer.className) !== architecture) {
    throw new UnsupportedArchitectureError(
      `Cannot denoise with ${transformer.name} as ${checkpoint.name} takes a transformer of ${architecture.name}: ` +
        `its class is ${transformer.className}`,
    );
  }
  const { source } = transformer;
  return {
    checkpoint,
    model: await architecture.denoiser(checkpoint, transformer),
    defaults: {},
    scheduler: async () =>
      await source.exists(SCHEDULER_FILE) ? await readScheduler(source) : await checkpoint.scheduler(),
  };
}

/** All settings of a denoising run. */
export interface DenoiseSettings {
  /** How far the prompt pulls. */
  readonly guidanceScale: number;
  /** Whether any step has two branches: the prompt's, and the negative prompt's. */
  readonly guided: boolean;
  /** The calls of the model that have both branches where the run is guided; the others have the prompt's alone. */
  readonly guidedCalls: StepRange;
  /** Whether all calls of the model have both branches. */
  readonly isAlwaysGuided: boolean;
  /** Perturbed attention guidance; undefined where it is off. */
  readonly pag: PerturbedAttention | undefined;
  /** The picture that the run follows; undefined where it follows none. */
  readonly control: ControlSettings | undefined;
  /** Whether every call of the model predicts both branches of guidance, and nothing else. */
  readonly bothBranches: boolean;
  /** The size that was asked for. */
  readonly size: PictureSize;
  /** The size that pictures are denoised at: one that the model was trained on, where binning is on. */
  readonly renderSize: PictureSize;
  /** The scheduler's class. */
  readonly schedulerName: string;
  /** Every option of the scheduler, in diffusers' spelling; numbers may be infinite. */
  readonly schedulerConfig: JsonObject;
  /** Denoising steps; a step may take two calls of the model. */
  readonly steps: number;
  /** The timestep of each call of the model, for one image and one branch of guidance. */
  readonly timesteps: readonly number[];
  /** How the run begins, where that is from a picture. */
  readonly picture?: PictureBeginning | undefined;
  /** Whether the denoised sample is the result instead of the next one: α's pipeline does so in one step, for DMD. */
  readonly returnsDenoised: boolean;
  /** Lays the scheduler out anew, for one image, and lets it begin where the run does. */
  createScheduler(): Scheduler;
}

/**
 * Resolves the settings of a denoising run.
 *
 * @param parameters The stage's parameters.
 * @param denoiser The denoiser.
 * @param picture The picture that the run begins from, where there is one. It has its size where none is asked for.
 * @param followed The size of the picture that the run follows, which it has where neither is there.
 * @returns The settings.
 * @throws {InputError} if a size or a schedule is one that the model or the scheduler cannot take.
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
  const scheduler = createScheduler(name, config, run);
  const whole = timesteps || sigmas ? scheduler.timesteps.length : steps;
  const beginning = picture && beginFromPicture(parameters.strength, picture, whole, scheduler);
  const begin = beginning?.begin ?? 0;
  const create = (): Scheduler => {
    const created = createScheduler(name, config, run);
    if (begin > 0) created.begin!(begin);
    return created;
  };
  // What cannot begin there says so now.
  create();
  const calls = scheduler.timesteps.length - begin;
  const returnsDenoised = !picture && model.returnsDenoised(calls);
  if (returnsDenoised && !findScheduler(scheduler.name).definition.givesDenoised) {
    const others = allSchedulers().filter(({ givesDenoised }) => givesDenoised).map(({ name }) => name);
    throw new InputError(
      "invalid_value",
      `Cannot denoise in one step as the scheduler must give the denoised sample: ${scheduler.name} does not. ` +
        `Choose one of ${others.join(", ")}, or take two steps or more`,
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
 * The part of the steps that are guided, where that makes a difference: without guidance, or with all steps guided, it
 * makes none.
 */
export function effectiveInterval(
  { guidanceInterval }: Pick<DenoiseParameters, "guidanceInterval">,
  { guidanceScale, isAlwaysGuided }: Pick<DenoiseSettings, "guidanceScale" | "isAlwaysGuided">,
): StepInterval | undefined {
  return guidanceScale <= 1 || isAlwaysGuided ? undefined : guidanceInterval;
}

/**
 * What must stay the same from the first step of a denoising to its last, but for the seeds.
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
 * The seed of each image: image i of a batch is the image that seed + i gives alone.
 *
 * @param seeds One seed for all, or one for each image.
 * @param images How many images.
 * @returns One seed for each image.
 * @throws {InputError} if there are several seeds, but not one for each image, or one is out of range.
 */
export function imageSeeds(seeds: readonly (number | string)[], images: number): bigint[] {
  const given = seeds.map(BigInt);
  if (given.length !== 1 && given.length !== images) {
    throw new InputError(
      "invalid_value",
      `Cannot seed the images as there must be 1 seed or ${images}: there are ${given.length}`,
      { details: { field: "seeds" } },
    );
  }
  const all = given.length === 1
    ? Array.from({ length: images }, (_, image) => given[0]! + BigInt(image))
    : given;
  all.forEach(seed64);
  return all;
}
