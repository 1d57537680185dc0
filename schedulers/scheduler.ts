// This module is browser compatible.

/**
 * The interface of every scheduler: a noise schedule for one run, and the step along it. Arrays are flat
 * float32 of any shape, because every operation is elementwise.
 *
 * @module
 */

import type { JsonObject } from "../artifacts/artifact.ts";

/** Draws `count` standard normal values from the image's own generator. */
export type DrawNoise = (count: number) => Float32Array;

/** The schedule of a run: a number of steps, or the timesteps or sigmas themselves. */
export interface ScheduleOptions {
  /** Number of denoising steps. */
  readonly steps?: number | undefined;
  /** Custom timesteps in falling order. */
  readonly timesteps?: readonly number[] | undefined;
  /** Custom sigmas in falling order; the last one is 0. */
  readonly sigmas?: readonly number[] | undefined;
}

/** The result of a step. */
export interface StepResult {
  /** The sample at the next timestep. */
  readonly sample: Float32Array;
  /** The denoised sample as predicted at this step, if the scheduler computes one. */
  readonly predictedOriginal?: Float32Array;
}

/** The complete state of a scheduler between steps: enough to continue in another process. */
export interface SchedulerState {
  /** Scalars: step index, orders, counters. */
  readonly values: JsonObject;
  /** Model outputs and samples of earlier steps. */
  readonly arrays: Readonly<Record<string, Float32Array>>;
}

/** A scheduler for one run of one image (or of one batch that is treated as one array). */
export interface Scheduler {
  /** The class name in diffusers, such as `DPMSolverMultistepScheduler`. */
  readonly name: string;
  /** The timestep passed to the model at each call; more entries than steps if a step takes two calls. */
  readonly timesteps: readonly number[];
  /** The sigmas, if the scheduler has them; one more than there are steps. */
  readonly sigmas?: readonly number[] | undefined;
  /** The factor by which initial noise is multiplied. */
  readonly initNoiseSigma: number;
  /**
   * The number of model calls per step.
   *
   * @default {1}
   */
  readonly order?: number;
  /**
   * Scales the sample to the model's input at call `index`. Returns `sample` itself if no scaling is needed.
   */
  scaleModelInput(sample: Float32Array, index: number): Float32Array;
  /**
   * Starts the run in the middle of its schedule, without a history, as image-to-image runs do: diffusers'
   * `set_begin_index`. A scheduler without this method can only begin at its first call.
   *
   * @param index The first call.
   * @throws {InputError} if the run cannot begin there.
   */
  begin?(index: number): void;
  /**
   * Takes one step along the schedule. Calls come in order, with `index` from 0 or from where the run begins.
   *
   * @param modelOutput The model's prediction at `timesteps[index]` after guidance; not changed.
   * @param index The index of the call.
   * @param sample The unscaled sample at `timesteps[index]`; not changed.
   * @param draw Draws the noise that a stochastic scheduler adds.
   */
  step(modelOutput: Float32Array, index: number, sample: Float32Array, draw: DrawNoise): StepResult;
  /**
   * Adds noise to a clean sample up to the noise level of a timestep; image-to-image runs start there.
   *
   * @param original The clean sample; not changed.
   * @param noise Standard normal noise of the same length; not changed.
   * @param timestep One of `timesteps`. Among equal ones, the next call counts, or else the first one after
   * it.
   */
  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array;
  /** Returns the state to be saved. Arrays are not copied. */
  state(): SchedulerState;
  /** Continues from a saved state. */
  restore(state: SchedulerState): void;
}
