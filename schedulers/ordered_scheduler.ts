// This module is browser compatible.

/**
 * What all schedulers share: a schedule that was laid out, calls that come in order, and a memory that can be saved.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { DrawNoise, Scheduler, SchedulerState, StepResult } from "./scheduler.ts";

/** A schedule as it was laid out. */
export interface LaidOutSchedule {
  /** The timestep handed to the model at each call. */
  readonly timesteps: readonly number[];
  /** The sigmas, where the scheduler has them. */
  readonly sigmas?: readonly number[];
  /** What initial noise is multiplied by; 1 where it is not said. */
  readonly initNoiseSigma?: number;
}

/** One call of a step, checked. */
export interface StepCall {
  /** What the model predicted. */
  readonly output: Float32Array;
  /** Which call this is. */
  readonly index: number;
  /** The sample that the model saw, before it was scaled. */
  readonly sample: Float32Array;
  /** Draws as many standard normal values as the sample has. */
  readonly noise: () => Float32Array;
}

/**
 * A scheduler whose calls come in order. What a step is given is neither changed nor kept, so a caller may use its
 * buffers again; what it returns must be left as it is.
 */
export abstract class OrderedScheduler implements Scheduler {
  abstract readonly name: string;
  readonly timesteps: readonly number[];
  readonly sigmas?: readonly number[];
  readonly initNoiseSigma: number;
  /** Calls of the model that a step takes. */
  readonly order: number = 1;
  #begun = 0;
  #calls = 0;

  /** @param schedule The schedule as it was laid out. */
  constructor({ timesteps, sigmas, initNoiseSigma = 1 }: LaidOutSchedule) {
    this.timesteps = timesteps;
    if (sigmas) this.sigmas = sigmas;
    this.initNoiseSigma = initNoiseSigma;
  }

  /** The call that the run began with. */
  protected get begun(): number {
    return this.#begun;
  }

  /** The call that comes next. */
  protected get next(): number {
    return this.#calls;
  }

  /**
   * Lets the run begin with a later call.
   *
   * @throws {InputError} if there is no such call, or the run has begun already.
   */
  begin(index: number): void {
    if (
      !Number.isInteger(index) || index < 0 || index >= this.timesteps.length || this.#calls !== this.#begun
    ) {
      throw new InputError(
        "out_of_range",
        `Cannot begin ${this.name} with call ${index} as it must be one of ${this.timesteps.length}, before any other`,
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
   * One step along the schedule.
   *
   * @throws {InputError} if the call is not the next one.
   * @throws {InputError} if arrays differ in length.
   */
  step(modelOutput: Float32Array, index: number, sample: Float32Array, draw: DrawNoise): StepResult {
    if (index !== this.#calls || index >= this.timesteps.length) {
      throw new InputError(
        "out_of_range",
        `Cannot step ${this.name} as calls must come in order, ${this.timesteps.length} of them, and the next is ${this.#calls}: current value is ${index}`,
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
   * Goes on from a saved state.
   *
   * @throws {InputError} if the state is of another scheduler or schedule.
   */
  restore({ values, arrays }: SchedulerState): void {
    const { scheduler, calls, of } = values;
    if (scheduler !== this.name || of !== this.timesteps.length) {
      throw new InputError(
        "invalid_value",
        `Cannot restore ${this.name} of ${this.timesteps.length} calls as the state must be its own: current value is of ${scheduler} of ${of} calls`,
      );
    }
    if (typeof calls !== "number" || !Number.isInteger(calls) || calls < 0 || calls > of) {
      throw new InputError(
        "invalid_value",
        `Cannot restore ${this.name} as calls must be from 0 to ${of}: current value is ${calls}`,
      );
    }
    this.#calls = calls;
    this.remember(arrays);
  }

  /** Whether the model's output holds a variance behind the mean. */
  protected get hasLearnedVariance(): boolean {
    return false;
  }

  /** The arrays of earlier steps that the next one needs. */
  protected memory(): Record<string, Float32Array> {
    return {};
  }

  /** Takes back what `memory` gave. */
  protected remember(_arrays: Readonly<Record<string, Float32Array>>): void {}

  #prediction(output: Float32Array, sample: Float32Array): Float32Array {
    if (output.length === sample.length) return output;
    if (this.hasLearnedVariance && output.length === 2 * sample.length) {
      return output.subarray(0, sample.length);
    }
    throw new InputError(
      "invalid_shape",
      `Cannot step ${this.name} as the model's output must be as long as the sample, ${sample.length}: current length is ${output.length}`,
    );
  }
}

/** The array of that name in a saved state. */
export function savedArray(arrays: Readonly<Record<string, Float32Array>>, name: string): Float32Array {
  const array = arrays[name];
  if (!array) {
    throw new InputError(
      "invalid_value",
      `Cannot restore a scheduler as its state must hold ${name}: it has none`,
    );
  }
  return array;
}

function drawFor(sample: Float32Array, draw: DrawNoise): Float32Array {
  const noise = draw(sample.length);
  if (noise.length === sample.length) return noise;
  throw new InputError(
    "invalid_shape",
    `Cannot add noise as ${sample.length} values must be drawn: current number is ${noise.length}`,
  );
}
