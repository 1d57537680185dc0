// This module is browser compatible.

/**
 * The base of all schedulers: a fixed schedule, calls in order, and a state that can be saved.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { DrawNoise, Scheduler, SchedulerState, StepResult } from "./scheduler.ts";

/** The schedule of a run. */
export interface LaidOutSchedule {
  /** The timestep passed to the model at each call. */
  readonly timesteps: readonly number[];
  /** The sigmas, if the scheduler has them. */
  readonly sigmas?: readonly number[];
  /**
   * The factor by which initial noise is multiplied.
   *
   * @default {1}
   */
  readonly initNoiseSigma?: number;
}

/** The checked arguments of one step. */
export interface StepCall {
  /** The model's prediction. */
  readonly output: Float32Array;
  /** The index of the call. */
  readonly index: number;
  /** The sample before it was scaled for the model. */
  readonly sample: Float32Array;
  /** Draws as many standard normal values as the sample has. */
  readonly noise: () => Float32Array;
}

/**
 * A scheduler whose calls come in order. A step neither changes nor keeps its arguments, so callers can reuse
 * their buffers. Callers must not change what a step returns.
 */
export abstract class OrderedScheduler implements Scheduler {
  abstract readonly name: string;
  readonly timesteps: readonly number[];
  readonly sigmas?: readonly number[];
  readonly initNoiseSigma: number;
  /** The number of model calls per step. */
  readonly order: number = 1;
  #begun = 0;
  #calls = 0;

  /** @param schedule The schedule of the run. */
  constructor({ timesteps, sigmas, initNoiseSigma = 1 }: LaidOutSchedule) {
    this.timesteps = timesteps;
    if (sigmas) this.sigmas = sigmas;
    this.initNoiseSigma = initNoiseSigma;
  }

  /** The call at which the run began. */
  protected get begun(): number {
    return this.#begun;
  }

  /** The next call. */
  protected get next(): number {
    return this.#calls;
  }

  /**
   * Starts the run at a later call.
   *
   * @throws {InputError} if there is no such call, or if the run has already begun.
   */
  begin(index: number): void {
    if (
      !Number.isInteger(index) || index < 0 || index >= this.timesteps.length || this.#calls !== this.#begun
    ) {
      throw new InputError(
        "out_of_range",
        `Cannot begin ${this.name} at call ${index}: give a call from 0 to ${
          this.timesteps.length - 1
        }, before the first step`,
      );
    }
    this.#begun = index;
    this.#calls = index;
  }

  /** Computes one step. */
  protected abstract advance(call: StepCall): StepResult;

  abstract addNoise(original: Float32Array, noise: Float32Array, timestep: number): Float32Array;

  scaleModelInput(sample: Float32Array, _index: number): Float32Array {
    return sample;
  }

  /**
   * Takes one step along the schedule.
   *
   * @throws {InputError} if the call is not the next one.
   * @throws {InputError} if arrays differ in length.
   */
  step(modelOutput: Float32Array, index: number, sample: Float32Array, draw: DrawNoise): StepResult {
    if (index !== this.#calls || index >= this.timesteps.length) {
      throw new InputError(
        "out_of_range",
        `Cannot step ${this.name} because calls must come in order: call ${this.#calls} of ${this.timesteps.length} is next, ` +
          `but call ${index} was given`,
      );
    }
    const output = this.#prediction(modelOutput, sample);
    const result = this.advance({ output, index, sample, noise: () => drawFor(sample, draw) });
    this.#calls += 1;
    return result;
  }

  state(): SchedulerState {
    return {
      values: { scheduler: this.name, calls: this.#calls, of: this.timesteps.length },
      arrays: this.memory(),
    };
  }

  /**
   * Continues from a saved state.
   *
   * @throws {InputError} if the state belongs to another scheduler or schedule.
   */
  restore({ values, arrays }: SchedulerState): void {
    const { scheduler, calls, of } = values;
    if (scheduler !== this.name || of !== this.timesteps.length) {
      throw new InputError(
        "invalid_value",
        `Cannot restore ${this.name} with ${this.timesteps.length} calls from a state of ${scheduler} with ${of} calls`,
      );
    }
    if (typeof calls !== "number" || !Number.isInteger(calls) || calls < 0 || calls > of) {
      throw new InputError(
        "invalid_value",
        `Cannot restore ${this.name} because calls must be from 0 to ${of}: current value is ${calls}`,
      );
    }
    this.#calls = calls;
    this.remember(arrays);
  }

  /** Whether the model's output contains a variance after the mean. */
  protected get hasLearnedVariance(): boolean {
    return false;
  }

  /** Returns the arrays of earlier steps that the next one needs. */
  protected memory(): Record<string, Float32Array> {
    return {};
  }

  /** Restores the arrays that `memory` returned. */
  protected remember(_arrays: Readonly<Record<string, Float32Array>>): void {}

  #prediction(output: Float32Array, sample: Float32Array): Float32Array {
    if (output.length === sample.length) return output;
    if (this.hasLearnedVariance && output.length === 2 * sample.length) {
      return output.subarray(0, sample.length);
    }
    throw new InputError(
      "invalid_shape",
      `Cannot step ${this.name}: the model's output has ${output.length} values, but the sample has ${sample.length}`,
    );
  }
}

/** Returns an array of a saved state by name. */
export function savedArray(arrays: Readonly<Record<string, Float32Array>>, name: string): Float32Array {
  const array = arrays[name];
  if (!array) {
    throw new InputError(
      "invalid_value",
      `Cannot restore a scheduler: its state has no array "${name}"`,
    );
  }
  return array;
}

function drawFor(sample: Float32Array, draw: DrawNoise): Float32Array {
  const noise = draw(sample.length);
  if (noise.length === sample.length) return noise;
  throw new InputError(
    "invalid_shape",
    `Cannot add noise: the generator drew ${noise.length} values instead of ${sample.length}`,
  );
}
