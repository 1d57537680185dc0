// This module is browser compatible.

/**
 * The loop over the timesteps of one image.
 *
 * @module
 */

import { tensor } from "../artifacts/tensor.ts";
import type { PixArtTransformer, PreparedText } from "../models/pixart/transformer_runner.ts";
import type { NoiseGenerator } from "../random/noise_generator.ts";
import type { ImageState } from "./denoise_checkpoint.ts";
import type { DenoiseSettings } from "./denoise_settings.ts";
import { guide } from "./guidance.ts";

/** One step that has been taken. The arrays are the loop's own: copy what is to be kept. */
export interface DenoiseStep {
  /** Which call of the model this was, from 0. */
  readonly index: number;
  /** The timestep that was handed to the model. */
  readonly timestep: number;
  /** What the model gave, variance included: for the negative prompt and the prompt, or for the prompt alone. */
  readonly outputs: readonly Float32Array[];
  /** The guided prediction of the noise. */
  readonly prediction: Float32Array;
  /** The latents after the step. */
  readonly sample: Float32Array;
  /** The denoised latents as predicted at this step, where the scheduler gives them. */
  readonly predictedOriginal?: Float32Array;
  /** How far the image has come, but for its generator. */
  state(): ImageState;
}

/** What the loop over one image's timesteps needs. */
export interface ImageRun {
  /** The open transformer. */
  readonly transformer: Pick<PixArtTransformer, "predictEach">;
  /** Sizes, schedule, guidance. */
  readonly settings: DenoiseSettings;
  /** The text of the negative prompt and then of the prompt, or of the prompt alone. */
  readonly text: readonly PreparedText[];
  /** The image's own generator: stochastic schedulers draw from it. */
  readonly generator: Pick<NoiseGenerator, "randn">;
  /** Standard normal noise to begin with, flat. */
  readonly noise: Float32Array;
  /** Shape of the latents, [1, channels, height, width]. */
  readonly shape: readonly number[];
  /** Says when to stop. */
  readonly signal: AbortSignal;
  /** How far the image had come before; from the start otherwise. */
  readonly before?: ImageState | undefined;
  /** Calls of the model after which the image rests; all of them otherwise. */
  readonly stopAfter?: number | undefined;
  /** Is told of every step, and waited for. */
  readonly onStep: (step: DenoiseStep) => unknown;
}

/**
 * Denoises one image.
 *
 * @param run What the loop needs.
 * @returns Its latents, flat.
 */
export async function denoiseImage(run: ImageRun): Promise<Float32Array> {
  const { transformer, settings, text, generator, noise, shape, signal, before } = run;
  const scheduler = settings.createScheduler();
  if (before?.scheduler) scheduler.restore(before.scheduler);
  let sample = before?.sample ?? scale(noise, scheduler.initNoiseSigma);
  for (const [index, timestep] of scheduler.timesteps.entries()) {
    if (index < (before?.calls ?? 0)) continue;
    if (index >= (run.stopAfter ?? Infinity)) break;
    // 1. Predict the noise, for the negative prompt and for the prompt.
    const latents = tensor("float32", shape, scheduler.scaleModelInput(sample, index));
    const halves = text.map((half) => ({ latents, timestep, text: half, size: settings.madeSize }));
    const outputs = (await transformer.predictEach(halves, { signal })).map(({ data }) => data);
    // 2. Guide. The channels behind the first are the variance, which no scheduler here uses.
    const [first, second] = outputs.map((output) => output.subarray(0, sample.length));
    const prediction = second ? guide(first!, second, settings.guidanceScale) : first!;
    // 3. Step.
    const result = scheduler.step(prediction, index, sample, (count) => generator.randn(count));
    sample = settings.returnsDenoised ? result.predictedOriginal! : result.sample;
    const { predictedOriginal } = result;
    const after = sample;
    await run.onStep({
      index,
      timestep,
      outputs,
      prediction,
      sample,
      ...(predictedOriginal ? { predictedOriginal } : {}),
      state: () => ({ calls: index + 1, sample: after, scheduler: scheduler.state() }),
    });
  }
  return sample;
}

/** Noise as the scheduler begins with it; float32, as torch multiplies. */
function scale(noise: Float32Array, sigma: number): Float32Array {
  const factor = Math.fround(sigma);
  return noise.map((value) => value * factor);
}
