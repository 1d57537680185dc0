// This module is browser compatible.

/**
 * The loop over the timesteps of one image.
 *
 * @module
 */

import { type Tensor, tensor } from "../../artifacts/tensor.ts";
import type { BranchCache, DenoiserModel, OpenDenoiser, PreparedText } from "../../models/architecture.ts";
import type { NoiseGenerator } from "../../random/noise_generator.ts";
import type { DenoiseSettings } from "./settings.ts";
import { pagScaleAt, pushAway } from "./perturbed_attention.ts";
import { type Branch, BRANCHES, type ImageState } from "./snapshot.ts";
import { type ImagePicture, layAround, noisedPicture } from "./picture.ts";
import { isWithin } from "./step_interval.ts";

/** One completed step. The arrays belong to the loop: copy what you keep. */
export interface DenoiseStep {
  /** Index of the model call. */
  readonly index: number;
  /** The timestep that the model received. */
  readonly timestep: number;
  /**
   * The model's outputs: for the negative prompt if it is used, for the prompt, and with perturbed attention.
   */
  readonly outputs: readonly Float32Array[];
  /** The noise prediction after guidance. */
  readonly prediction: Float32Array;
  /** The latents after the step, blended with the picture outside the mask. */
  readonly sample: Float32Array;
  /** The scheduler's latents. Without a mask they equal `sample`. */
  readonly stepped: Float32Array;
  /** The denoised latents as predicted at this step, if the scheduler returns them. */
  readonly predictedOriginal?: Float32Array | undefined;
  /** Returns the state of the image, without its generator. It is valid until the next step. */
  state(): ImageState;
}

/** Inputs of the loop over one image's timesteps. */
export interface ImageRun {
  /** Reads the model's outputs. */
  readonly model: Pick<DenoiserModel, "readPrediction">;
  /** The open denoiser. */
  readonly denoiser: Pick<OpenDenoiser, "predictEach">;
  /** Sizes, schedule, guidance. */
  readonly settings: DenoiseSettings;
  /** The texts of the negative prompt and of the prompt, in this order, or of only the prompt. */
  readonly texts: readonly PreparedText[];
  /** The image's own generator. Stochastic schedulers draw from it. */
  readonly generator: Pick<NoiseGenerator, "randn">;
  /** The initial standard normal noise, flat. */
  readonly noise: Float32Array;
  /** The picture that the run starts from, if the settings say so. */
  readonly picture?: ImagePicture | undefined;
  /** Shape of the latents, [1, channels, height, width]. */
  readonly shape: readonly number[];
  /** The latents of the picture that the image follows, if it follows one. */
  readonly control?: Tensor<"float32"> | undefined;
  /** Stops the loop when aborted. */
  readonly signal: AbortSignal;
  /** The state that the image continues from. The default is to start from the noise. */
  readonly before?: ImageState | undefined;
  /** Number of model calls after which the image stops. The default is all of them. */
  readonly stopAfter?: number | undefined;
  /** Called and awaited after every step. */
  readonly onStep: (step: DenoiseStep) => unknown;
}

/**
 * Denoises one image.
 *
 * @param run The loop's inputs.
 * @returns The image's latents, flat.
 */
export async function denoiseImage(run: ImageRun): Promise<Float32Array> {
  const { model, denoiser, settings, texts, generator, noise, shape, signal, before } = run;
  const { renderSize, guidanceScale, pag, returnsDenoised } = settings;
  const scheduler = settings.createScheduler();
  if (before?.scheduler) scheduler.restore(before.scheduler);
  const caches: Record<Branch, BranchCache> = { negative: {}, prompt: {}, perturbed: {}, ...before?.caches };
  const { picture } = run;
  const begin = settings.picture?.begin ?? 0;
  let sample = before?.sample ??
    (picture && settings.picture
      ? noisedPicture(picture, noise, settings.picture, scheduler)
      : scale(noise, scheduler.initNoiseSigma));
  for (const [index, timestep] of settings.timesteps.entries()) {
    if (index < (before?.calls ?? 0)) continue;
    if (index >= (run.stopAfter ?? Infinity)) break;
    // 1. Predict the noise for the negative prompt, if it is used, and for the prompt; then with perturbed
    // attention.
    const latents = tensor("float32", shape, scheduler.scaleModelInput(sample, begin + index));
    const branches = isWithin(settings.guidedCalls, index) ? texts : texts.slice(-1);
    const pagScale = pag ? pagScaleAt(pag, timestep) : 0;
    const followed = settings.control?.isOn(index) && run.control
      ? { control: { latents: run.control, scale: settings.control.scale } }
      : {};
    const common = { latents, timestep, renderSize, ...followed };
    const inputs = [
      ...branches.map((text) => {
        return { ...common, text, cache: caches[text === texts.at(-1) ? "prompt" : "negative"] };
      }),
      ...(pagScale > 0 ? [{ ...common, text: texts.at(-1)!, perturbed: true, cache: caches.perturbed }] : []),
    ];
    const outputs = (await denoiser.predictEach(inputs, { signal })).map(({ data }) => data);
    // 2. Apply guidance.
    const read = outputs.map((output) => model.readPrediction(output, sample.length));
    const positive = read[branches.length - 1]!;
    const guided = branches.length > 1 ? guide(read[0]!, positive, guidanceScale) : positive;
    const perturbed = read[branches.length];
    const prediction = perturbed ? pushAway(guided, positive, perturbed, pagScale) : guided;
    // 3. Step.
    const result = scheduler.step(prediction, begin + index, sample, (count) => generator.randn(count));
    const { predictedOriginal } = result;
    const stepped = returnsDenoised ? predictedOriginal! : result.sample;
    const next = settings.timesteps[index + 1];
    const after = picture ? layAround(stepped, picture, noise, scheduler, next) : stepped;
    sample = after;
    await run.onStep({
      index,
      timestep,
      outputs,
      prediction,
      sample,
      stepped,
      predictedOriginal,
      state: () => ({
        calls: index + 1,
        sample: after,
        scheduler: scheduler.state(),
        ...(index + 1 === settings.timesteps.length ? {} : { caches: keptCaches(caches) }),
      }),
    });
  }
  return sample;
}

/**
 * Returns the caches of branches that have residuals. They belong to the state until the next step: a copy would
 * keep residuals in memory that the step replaces.
 */
function keptCaches(caches: Readonly<Record<Branch, BranchCache>>): NonNullable<ImageState["caches"]> {
  const kept = BRANCHES.filter((branch) => caches[branch].residuals);
  return Object.fromEntries(kept.map((branch) => [branch, caches[branch]]));
}

/** Scales noise to the scheduler's initial sigma, in float32 as torch does. */
function scale(noise: Float32Array, sigma: number): Float32Array {
  const factor = Math.fround(sigma);
  return noise.map((value) => value * factor);
}

/**
 * Applies classifier-free guidance (Ho and Salimans 2022, https://arxiv.org/abs/2207.12598), in float32 and
 * in the order of operations of diffusers: `negative + scale * (positive - negative)`.
 *
 * @param negative The prediction for the negative prompt.
 * @param positive The prediction for the prompt, of the same length.
 * @param scale The guidance scale. At 1 the result is `positive`, up to rounding.
 * @returns The guided prediction, a new array.
 */
export function guide(negative: Float32Array, positive: Float32Array, scale: number): Float32Array {
  const guided = new Float32Array(positive.length);
  const factor = Math.fround(scale);
  for (let index = 0; index < guided.length; index++) {
    const away = Math.fround(positive[index]! - negative[index]!);
    guided[index] = negative[index]! + Math.fround(factor * away);
  }
  return guided;
}
