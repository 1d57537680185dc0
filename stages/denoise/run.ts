// This module is browser compatible.

/**
 * The work that the denoising stages share: continuing from a snapshot, and denoising the images one by one.
 *
 * @module
 */

import { InputError } from "../../errors/pixstage_error.ts";
import type { Artifact } from "../../artifacts/artifact.ts";
import { artifactId } from "../../artifacts/artifact_file.ts";
import { toBase64 } from "../../artifacts/base64.ts";
import { type PromptEmbedding, unpackEmbeddings } from "../../artifacts/embeddings.ts";
import { imageLatents, unpackLatents } from "../../artifacts/latents.ts";
import { tensor } from "../../artifacts/tensor.ts";
import { latentsToRgb } from "../../images/latent_preview.ts";
import { encodePicture } from "../../images/picture.ts";
import type { DenoiserModel, OpenDenoiser, PreparedText } from "../../models/architecture.ts";
import { createGenerator, restoreGenerator } from "../../random/create_generator.ts";
import type { RunContext } from "../stage.ts";
import type { StageReport } from "../stage_report.ts";
import { settingsToContinue } from "./continued_denoiser.ts";
import { checkNegatives, checkNoise } from "./inputs.ts";
import { denoiseImage } from "./loop.ts";
import { checkControlShape, controlIdentity, requireControl } from "./control.ts";
import { pagIdentity } from "./perturbed_attention.ts";
import {
  type DenoiseParameters,
  type DenoiseSettings,
  effectiveInterval,
  fixedIdentity,
  imageSeeds,
} from "./settings.ts";
import { drawPicture, unpackPictures } from "./picture.ts";
import {
  type DenoiseIdentity,
  type DenoiseState,
  type ImageState,
  packDenoiseState,
  snapshotImages,
  snapshotInputs,
} from "./snapshot.ts";

/** A prepared denoising. */
export interface DenoiseWork {
  /** The stage's parameters. */
  readonly parameters: DenoiseParameters & { readonly allowChanges: boolean };
  /** Sizes, schedule, guidance. */
  readonly settings: DenoiseSettings;
  /** The transformer's architecture. */
  readonly model: DenoiserModel;
  /** Number of model calls after which each image stops. Infinite means all of them. */
  readonly stopAfter: number;
  /** Opens the transformer. */
  readonly open: (context: RunContext) => Promise<OpenDenoiser>;
}

/** The outcome of a denoising. */
export interface DenoiseResult {
  /** The seed of each image. */
  readonly seeds: readonly bigint[];
  /** Shape of one image's latents, [1, channels, height, width]. */
  readonly shape: readonly number[];
  /** The state of each image. */
  readonly state: DenoiseState;
}

/** The texts of each image: its negative prompt and its prompt, or only its prompt. */
interface Texts {
  readonly prompts: readonly PromptEmbedding[];
  readonly negatives: readonly PromptEmbedding[] | undefined;
}

/**
 * Denoises all images, each up to the call `stopAfter` or to the end.
 *
 * @param work The prepared denoising.
 * @param context The inputs and the environment.
 * @returns The state of the images.
 */
export async function denoise(work: DenoiseWork, context: RunContext): Promise<DenoiseResult> {
  // 1. Check the inputs against the settings.
  const { parameters, settings, model } = work;
  const { inputs, report } = context;
  const { checkpoint: snapshot, ...given } = inputs;
  const sources: Record<string, Artifact> = { ...(snapshot ? snapshotInputs(snapshot) : {}), ...given };
  const texts = unpackTexts(sources, settings);
  model.checkEmbeddings(texts.prompts[0]!.shape[1]!);
  const images = texts.prompts.length * parameters.imagesPerPrompt;
  const seeds = imageSeeds(parameters.seeds, images);
  const shape = model.latentShape(settings.renderSize);
  const noise = sources["noise"] && unpackLatents(sources["noise"], shape[1]!);
  if (noise) checkNoise(noise.shape, images, shape);
  const control = settings.control && unpackLatents(requireControl(sources["control"]), shape[1]!);
  if (control) checkControlShape(control.shape, images, shape);
  const pictures = unpackPictures(sources, images, shape);

  // 2. Find out how many steps each image has already done.
  const identity = await identify(work, seeds, shape, sources);
  const last = Math.min(work.stopAfter, settings.timesteps.length);
  const saved = context.snapshots?.saved ?? snapshot;
  const allowChanges = parameters.allowChanges && saved === snapshot;
  const states = saved ? snapshotImages(saved, identity, allowChanges) : new Map<number, ImageState>();
  const come = Math.max(0, ...[...states.values()].map(({ calls }) => calls));
  if (come > last) {
    throw new InputError(
      "out_of_range",
      `Cannot stop after step ${last} because the snapshot is already at step ${come}`,
      { details: { field: "stopAfter" } },
    );
  }
  if (saved) {
    const step = [...states.values()].reduce((sum, { calls }) => sum + Math.min(calls, last), 0);
    report({ type: "stage:resumed", step, steps: images * last });
  }
  const result: DenoiseResult = { seeds, shape, state: { identity, images: states, inputs: sources } };
  const unfinished = Array.from(seeds.keys()).filter((image) => (states.get(image)?.calls ?? 0) < last);
  if (unfinished.length === 0) return result;

  // 3. Open the transformer, and denoise the images one by one.
  await using denoiser = await work.open(context);
  const count = shape.reduce((product, size) => product * size, 1);
  let prepared: { readonly prompt: number; readonly texts: PreparedText[] } | undefined;
  for (const image of unfinished) {
    const prompt = Math.floor(image / parameters.imagesPerPrompt);
    if (prepared?.prompt !== prompt) {
      prepared = { prompt, texts: await prepareTexts(denoiser, texts, prompt, context.signal) };
    }
    const before = states.get(image);
    const given = noise && imageLatents(noise, image).data;
    const fresh = createGenerator(parameters.generator, seeds[image]!);
    // A resumed image reuses its initial noise and its sample of the picture.
    const begun = pictures && drawPicture(pictures, image, fresh, given);
    const generator = before?.generator ? restoreGenerator(before.generator) : fresh;
    const start = begun?.noise ?? (before ? before.sample : given ?? generator.randn(count));
    await denoiseImage({
      model,
      denoiser,
      settings,
      texts: prepared.texts,
      generator,
      noise: start,
      picture: begun?.picture,
      shape,
      control: control && imageLatents(control, control.shape[0] === 1 ? 0 : image),
      signal: context.signal,
      before,
      stopAfter: last,
      onStep: async ({ index, timestep, state, sample, predictedOriginal }) => {
        const finished = index + 1 === settings.timesteps.length;
        states.set(image, finished ? state() : { ...state(), generator: generator.state() });
        const step = image * last + index + 1;
        report({ type: "step", step, steps: images * last, image, images, timestep });
        if (context.previews && model.latentColours) {
          report(await preview(predictedOriginal ?? sample, shape, model.latentColours, image, index + 1));
        }
        await context.snapshots?.offer(() => packDenoiseState(result.state));
      },
    });
  }
  return result;
}

/**
 * Unpacks the prompts and, if guidance is on, the negative prompts. Those of the input `negative` take
 * precedence over those in `embeddings`.
 */
function unpackTexts(sources: Readonly<Record<string, Artifact>>, settings: DenoiseSettings): Texts {
  const { prompts, negatives: beside } = unpackEmbeddings(sources["embeddings"]!);
  if (!settings.guided) return { prompts, negatives: undefined };
  const own = sources["negative"] && unpackEmbeddings(sources["negative"]).prompts;
  const given = own ?? beside;
  checkNegatives(given?.length, prompts.length, settings.guidanceScale);
  return { prompts, negatives: prompts.map((_, index) => given![given!.length === 1 ? 0 : index]!) };
}

/** Prepares the texts of one prompt for the denoiser. */
async function prepareTexts(
  denoiser: OpenDenoiser,
  { prompts, negatives }: Texts,
  prompt: number,
  signal: AbortSignal,
): Promise<PreparedText[]> {
  const embeddings = negatives ? [negatives[prompt]!, prompts[prompt]!] : [prompts[prompt]!];
  const prepared: PreparedText[] = [];
  for (const embedding of embeddings) prepared.push(await denoiser.prepareText(embedding, { signal }));
  return prepared;
}

/** Returns the identity of this denoising in snapshots. */
async function identify(
  { parameters, settings }: DenoiseWork,
  seeds: readonly bigint[],
  shape: readonly number[],
  { embeddings, negative, image, mask, control }: Readonly<Record<string, Artifact>>,
): Promise<DenoiseIdentity> {
  const usesNegative = settings.guided && negative !== undefined;
  return {
    fixed: {
      ...fixedIdentity(parameters, settings, shape),
      seeds: seeds.map(String),
      image: image ? await artifactId(image) : null,
      mask: image && mask ? await artifactId(mask) : null,
    },
    changeable: {
      guidanceScale: settings.guidanceScale,
      guidanceInterval: effectiveInterval(parameters, settings) ?? null,
      pag: settings.pag ? pagIdentity(settings.pag) : null,
      control: settings.control ? controlIdentity(settings.control) : null,
      controlLatents: settings.control && control ? await artifactId(control) : null,
      embeddings: await artifactId(embeddings!),
      ...(usesNegative ? { negative: await artifactId(negative) } : {}),
    },
    settings: settingsToContinue(settings),
  };
}

/** Renders a small PNG of what an image is expected to become, one pixel per latent. */
async function preview(
  latents: Float32Array,
  shape: readonly number[],
  colours: NonNullable<DenoiserModel["latentColours"]>,
  image: number,
  step: number,
): Promise<StageReport> {
  const [pixels] = latentsToRgb(tensor("float32", shape, latents), colours);
  const { width, height } = pixels!;
  const png = toBase64(await encodePicture(pixels!, { format: "png" }));
  return { type: "preview", image, step, width, height, png };
}
