// This module is browser compatible.

import { InputError } from "../../errors/pixstage_error.ts";
import { z } from "zod";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { embeddingsMetadata } from "../../artifacts/embeddings.ts";
import { tensor } from "../../artifacts/tensor.ts";
import { checkComponent } from "../../models/check_component.ts";
import type { MemoryChoice } from "../../models/memory.ts";
import { adviseOnMemory } from "../../models/out_of_memory.ts";
import type { RunDefaults } from "../../models/checkpoint/run_defaults.ts";
import { loadReport, openWeights, precisionIdentity, requirePrecision, residencyOf } from "../model.ts";
import {
  defineStage,
  type InputArtifacts,
  type PrepareContext,
  type RunContext,
  type Stage,
  type WeightUse,
} from "../stage.ts";
import { allOutlines, checkInputs, type DenoiseInputs, denoiseInputs } from "./inputs.ts";
import { openLoras } from "./loras.ts";
import { continuedDenoiser } from "./continued_denoiser.ts";
import { callsBefore } from "./denoising_end.ts";
import { controlIdentity, controlWithoutEffect, followedSizes, openControlNet } from "./control.ts";
import { pagIdentity } from "./perturbed_attention.ts";
import { outlinePicture } from "./picture.ts";
import { denoise, type DenoiseResult, type DenoiseWork } from "./run.ts";
import {
  denoiseParameters,
  type DenoiseSettings,
  effectiveInterval,
  openDenoiser,
  resolveDenoise,
} from "./settings.ts";
import { outlineSnapshot, packDenoiseState } from "./snapshot.ts";

/** Parameters of the denoise stage. */
export const denoiseStageParameters = denoiseParameters.extend({
  /** Whether guidance and embeddings may differ from those of the snapshot. */
  allowChanges: z.boolean().default(false),
});

/** Parameters of the denoise-part stage. */
export const denoisePartParameters = denoiseStageParameters.extend({
  /** Number of steps, as progress counts them, after which each image stops. */
  stopAfter: z.int().min(1, "At least one step is needed").optional(),
  /** Share of the noise schedule after which each image stops, instead of `stopAfter`. */
  denoisingEnd: z.number().gt(0).lt(1).optional(),
}).refine(
  ({ stopAfter, denoisingEnd }) => (stopAfter === undefined) !== (denoisingEnd === undefined),
  "Give either stopAfter or denoisingEnd",
);

type Parameters = z.infer<typeof denoiseStageParameters>;
type Context = PrepareContext<Parameters, typeof denoiseInputs>;

/** Advice on how to use less memory. */
const LESS_MEMORY =
  'make a smaller picture, let weights stream (residency "stream"), allow precision "int8", or free memory';

/**
 * The denoise stage. Turns noise into latents along the scheduler's timesteps, guided by text embeddings
 * (the loop of diffusers' pipeline_pixart_alpha.py and pipeline_pixart_sigma.py). Images run one after the
 * other, and on a CPU so do the two branches of guidance. Each image thus equals the image that it would be
 * alone, and only one set of activations is in memory.
 */
export const denoiseStage: Stage = defineStage({
  name: "denoise",
  version: "3",
  description: "Denoises latents with the checkpoint's transformer and a scheduler.",
  inputs: denoiseInputs,
  outputs: {
    latents: { kind: "latents", description: "Latents, not yet divided by the scaling factor." },
  },
  parameters: denoiseStageParameters,
  async prepare(context) {
    const { prepared, inputs, settings, shape, metadata, start } = await prepareDenoise(
      context,
      () => Infinity,
    );
    const known = inputs.images === undefined ? {} : { latents: [inputs.images, ...shape.slice(1)] };
    return {
      ...prepared,
      outputs: { latents: { kind: "latents", shapes: known, metadata: { size: { ...settings.size } } } },
      async run(run) {
        const { seeds, shape, state } = await start(run);
        const count = shape.reduce((product, size) => product * size, 1);
        const latents = new Float32Array(seeds.length * count);
        for (const [image, { sample }] of state.images) latents.set(sample, image * count);
        return {
          latents: {
            kind: "latents",
            tensors: { latents: tensor("float32", [seeds.length, ...shape.slice(1)], latents) },
            metadata: { ...metadata(seeds), ...textsOf(state.inputs, settings) },
          },
        };
      },
    };
  },
});

/**
 * The denoise-part stage. Runs the first steps of the denoise stage. Its state can continue elsewhere, later,
 * or with another prompt or guidance, as the input `checkpoint` of another `denoise` or `denoise-part`.
 */
export const denoisePartStage: Stage = defineStage({
  name: "denoise-part",
  version: "3",
  description: "Runs some steps of denoising, and returns the snapshot to continue from.",
  inputs: denoiseInputs,
  outputs: {
    checkpoint: { kind: "checkpoint", description: "The snapshot of all images after the steps." },
  },
  parameters: denoisePartParameters,
  async prepare(context) {
    const { stopAfter: steps, denoisingEnd } = context.parameters;
    const { prepared, settings, start, inputs, outlines, stopAfter } = await prepareDenoise(
      context,
      (settings) => steps ?? callsBefore(denoisingEnd!, settings),
    );
    if (stopAfter >= settings.timesteps.length) {
      throw new InputError(
        "out_of_range",
        `Cannot stop after step ${stopAfter}: the run has only ${settings.timesteps.length} steps, and one must be left`,
        { details: { field: "stopAfter" } },
      );
    }
    return {
      ...prepared,
      identity: { ...prepared.identity, stopAfter },
      // What continues has the size of a picture here, and is refused early if its schedule is another one.
      outputs: { checkpoint: outlineSnapshot(inputs.identity, outlines) },
      async run(run) {
        return { checkpoint: packDenoiseState((await start(run)).state) };
      },
    };
  },
});

/** A prepared denoising run. Each stage decides only in which form it returns the output. */
interface PreparedDenoise {
  readonly prepared: {
    readonly identity: JsonObject;
    readonly weights: readonly WeightUse[];
    readonly ignores: readonly ("negative" | "control")[];
    readonly warnings: readonly string[];
    readonly memory: readonly MemoryChoice[];
  };
  readonly inputs: DenoiseInputs;
  /** Outlines of the inputs, and of those in a snapshot to continue from. */
  readonly outlines: ReturnType<typeof allOutlines>;
  readonly settings: DenoiseSettings;
  /** Calls of the model after which each image stops. */
  readonly stopAfter: number;
  /** Shape of one image's latents, [1, channels, height, width]. */
  readonly shape: readonly number[];
  /** Returns the metadata of latents, without their texts. */
  readonly metadata: (seeds: readonly bigint[]) => JsonObject;
  /** Denoises. */
  readonly start: (run: RunContext<typeof denoiseInputs>) => Promise<DenoiseResult>;
}

async function prepareDenoise(
  context: Context,
  stopOf: (settings: DenoiseSettings) => number,
): Promise<PreparedDenoise> {
  const { parameters, inputs, models, device, residency, lowestPrecision, signal } = context;
  const { precision, imagesPerPrompt, stepCache } = parameters;
  requirePrecision(precision, context);

  // 1. Resolve sizes, schedule and guidance, and check the inputs against them.
  const opened = await openDenoiser(parameters, models, signal);
  const denoiser = continuedDenoiser(opened, parameters.transformer, inputs.checkpoint);
  const { checkpoint, model } = denoiser;
  const outlines = allOutlines(inputs);
  const settings = await resolveDenoise(
    parameters,
    denoiser,
    outlinePicture(outlines, model),
    followedSizes(parameters, outlines, model),
  );
  const { guided, bothBranches, pag, control, renderSize } = settings;
  const stopAfter = stopOf(settings);
  if (stepCache !== undefined && (control || !model.cachesSteps)) {
    const reason = control ? "a ControlNet runs between its blocks" : "its blocks cannot run separately";
    throw new InputError("invalid_value", `Cannot use a step cache with ${model.component.name}: ${reason}`, {
      details: { field: "stepCache" },
    });
  }
  const interval = effectiveInterval(parameters, settings);
  const guidance = {
    guidanceScale: settings.guidanceScale,
    ...(interval ? { guidanceInterval: interval } : {}),
    ...(pag ? { pag: pagIdentity(pag) } : {}),
    ...(stepCache === undefined ? {} : { stepCache }),
    ...(control ? { control: controlIdentity(control) } : {}),
  };
  const known = checkInputs(inputs, parameters, settings, model);
  const weights = await checkComponent("transformer", model.component);
  const loras = await openLoras(parameters.loras ?? [], models, weights, signal);
  const controlNet = control && await openControlNet(parameters.controlnet!, models, model, signal);
  const { promptTokens, negativeTokens } = known;
  const cachesSteps = stepCache !== undefined;
  const job = { renderSize, guided, bothBranches, cachesSteps, promptTokens, negativeTokens };

  // 2. Determine identity and memory.
  const { transformer, model: name, variant } = parameters;
  const reference = transformer === undefined ? { model: name, variant } : { model: transformer };
  const work: DenoiseWork = {
    parameters,
    settings,
    model,
    stopAfter,
    async open(run) {
      const stored = await openWeights(model.component, "transformer", precision, models, run);
      return await model.open(run.runtime, await loras.adapt(stored), {
        precision,
        bothBranches,
        perturbable: pag?.layers,
        stepCache,
        controlNet,
        renderSize,
        residency: residencyOf(context, stored),
        signal: run.signal,
        onLoad: (progress) => run.report(loadReport("transformer", progress)),
      });
    },
  };
  const memory = loras.memory(
    model.memory(weights, job, { traits: device.traits, residency, precision, lowestPrecision }),
  );
  return {
    prepared: {
      identity: {
        ...model.identity,
        ...precisionIdentity(precision, device.traits),
        ...loras.identity,
        scheduler: settings.schedulerConfig,
        timesteps: settings.timesteps,
        ...(parameters.sigmas ? { sigmas: parameters.sigmas } : {}),
        ...(parameters.eta === undefined ? {} : { eta: parameters.eta }),
        ...guidance,
        ...(settings.picture ? { strength: settings.picture.strength, begin: settings.picture.begin } : {}),
        size: { ...settings.size },
        renderSize: { ...renderSize },
        seeds: parameters.seeds.map(String),
        imagesPerPrompt,
        generator: parameters.generator,
        allowChanges: parameters.allowChanges,
      },
      weights: [
        { ...reference, component: "transformer", content: model.component },
        ...loras.weights,
        ...(controlNet ? [controlNet.use] : []),
      ],
      ignores: [...(guided ? [] : ["negative" as const]), ...(control ? [] : ["control" as const])],
      warnings: [...withoutEffect(parameters, settings, known, denoiser.defaults), ...loras.warnings],
      memory: controlNet ? controlNet.model.memory(memory, job) : memory,
    },
    inputs: known,
    outlines,
    settings,
    stopAfter,
    shape: model.latentShape(renderSize),
    metadata: (seeds) => ({
      size: { ...settings.size },
      seeds: seeds.map(String),
      imagesPerPrompt,
      model: checkpoint.name,
      scheduler: settings.schedulerName,
      steps: settings.steps,
      ...guidance,
      ...loras.metadata,
      ...(settings.picture ? { strength: settings.picture.strength } : {}),
    }),
    start: (run) => adviseOnMemory("denoise", LESS_MEMORY, denoise(work, run)),
  };
}

/** Returns warnings about parameters and inputs that have no effect. */
function withoutEffect(
  { steps, timesteps, sigmas, guidanceInterval, pagLayers, pagAdaptiveScale, strength, ...rest }: Parameters,
  { guided, guidanceScale, pag, control, steps: taken, picture }: DenoiseSettings,
  { texts }: DenoiseInputs,
  defaults: RunDefaults,
): string[] {
  const own = timesteps ? "timesteps" : sigmas ? "sigmas" : undefined;
  const negatives = z.array(z.string()).catch([]).parse(texts.negativePrompts);
  const isAsked = negatives.some((text) => text.trim() !== "" && text !== defaults.negativePrompt);
  return [
    ...(own !== undefined && steps !== undefined && steps !== taken
      ? [`steps has no effect together with ${own}: the run has ${taken}`]
      : []),
    ...(isAsked && !guided
      ? [
        `The negative prompt has no effect without guidance: ${
          guidanceScale > 1 ? "no step is guided" : `the guidance scale is ${guidanceScale}`
        }`,
      ]
      : []),
    ...(strength !== undefined && !picture ? ["strength has no effect without a picture to start from"] : []),
    ...(guidanceInterval && guidanceScale <= 1
      ? [`guidanceInterval has no effect without guidance: the guidance scale is ${guidanceScale}`]
      : []),
    ...(!pag && (pagLayers?.length || pagAdaptiveScale)
      ? [`${pagLayers?.length ? "pagLayers" : "pagAdaptiveScale"} has no effect without a pagScale above 0`]
      : []),
    ...controlWithoutEffect(rest, control),
  ];
}

/** Returns the prompts and negative prompts of latents, as far as the embeddings record them. */
function textsOf(
  { embeddings, negative }: InputArtifacts<typeof denoiseInputs>,
  { guided }: DenoiseSettings,
): JsonObject {
  const { prompts, negativePrompts: beside } = embeddings ? embeddingsMetadata(embeddings) : {};
  const own = guided && negative ? embeddingsMetadata(negative).prompts : undefined;
  const negativePrompts = own ?? beside;
  return { ...(prompts ? { prompts } : {}), ...(negativePrompts ? { negativePrompts } : {}) };
}
