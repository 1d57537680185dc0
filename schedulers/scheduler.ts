// This module is browser compatible.

/**
 * What every scheduler is: a noise schedule laid out for one run, and the step along it. Arrays are flat float32 of any
 * shape, as every operation is elementwise.
 *
 * @module
 */

import type { JsonObject } from "../artifacts/artifact.ts";

/** Draws as many standard normal values as `count` says, from the image's own generator. */
export type DrawNoise = (count: number) => Float32Array;

/** Which schedule a run takes: a number of steps, or the timesteps or sigmas themselves. */
export interface ScheduleOptions {
  /** Number of denoising steps. */
  readonly steps?: number | undefined;
  /** Custom timesteps, falling. */
  readonly timesteps?: readonly number[] | undefined;
  /** Custom sigmas, falling, the last one 0. */
  readonly sigmas?: readonly number[] | undefined;
}

/** What a step gives. */
export interface StepResult {
  /** The sample at the next timestep. */
  readonly sample: Float32Array;
  /** The denoised sample as predicted at this step, where the scheduler computes one. */
  readonly predictedOriginal?: Float32Array;
}

/** All that a scheduler remembers between steps: enough to go on in another process. */
export interface SchedulerState {
  /** Scalars: step index, orders, counters. */
  readonly values: JsonObject;
  /** Model outputs and samples of earlier steps. */
  readonly arrays: Readonly<Record<string, Float32Array>>;
}

/** A scheduler laid out for one run of one image (or one batch that is treated as one array). */
export interface Scheduler {
  /** diffusers' class name: `DPMSolverMultistepScheduler`. */
  readonly name: string;
  /** The timestep handed to the model at each call; longer than the steps where a step takes two calls. */
  readonly timesteps: readonly number[];
  /** The sigmas, where the scheduler has them; one longer than the steps. */
  readonly sigmas?: readonly number[] | undefined;
  /** What initial noise is multiplied by. */
  readonly initNoiseSigma: number;
  /** Calls of the model that a step takes; 1 if left out. */
  readonly order?: number;
  /** The sample as the model wants it at call `index`. Returns `sample` itself where there is nothing to scale. */
  scaleModelInput(sample: Float32Array, index: number): Float32Array;
  /**
   * Lets the run begin in the middle of its schedule, with nothing to look back on, as one that starts from a picture
   * does: diffusers' `set_begin_index`. A scheduler without it begins at its beginning alone.
   *
   * @param index The first call.
   * @throws {InputError} if it cannot begin there.
   */
  begin?(index: number): void;
  /**
   * One step along the schedule. Calls come in order, `index` from 0 or from where the run begins.
   *
   * @param modelOutput What the model predicts at `timesteps[index]`, guidance applied; not changed.
   * @param index Which call this is.
   * @param sample The sample at `timesteps[index]`, not scaled; not changed.
   * @param draw Draws the noise that a stochastic scheduler adds.
   */
  step(modelOutput: Float32Array, index: number, sample: Float32Array, draw: DrawNoise): StepResult;
  /**
   * A clean sample brought to the noise of a timestep: where a run that starts from a picture begins.
   *
   * @param original The clean sample; not changed.
   * @param noise Standard normal noise of the same length; not changed.
   * @param timestep One of `timesteps`: of equal ones that of the next call, or of the first one after it.
   */
  addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array;
  /** What it remembers, to be saved. Arrays are not copied. */
  state(): SchedulerState;
  /** Goes on from a saved state. */
  restore(state: SchedulerState): void;
}
