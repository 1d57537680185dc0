/**
 * The schedulers' reference values, and the distance of a result from them.
 *
 * @module
 */

import assert from "node:assert/strict";
import { decodeSafetensors } from "../../artifacts/safetensors.ts";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { createScheduler, type RunOptions, type Scheduler } from "../../schedulers/mod.ts";
import { goldenJson, goldenPath } from "../goldens.ts";

/** A schedule of the reference. */
export interface GoldenSchedule {
  readonly config: string;
  readonly class: string;
  readonly timestep_spacing: string | null;
  readonly steps: number;
  readonly timesteps: string;
  readonly sigmas?: string;
  readonly init_noise_sigma: number | null;
}

/** A custom schedule that the run provided. */
export interface GoldenCustomSchedule {
  readonly id: string;
  readonly class: string;
  readonly config: JsonObject;
  readonly set_timesteps: { readonly timesteps?: number[]; readonly sigmas?: number[] };
  readonly timesteps: string;
  readonly sigmas?: string;
}

/** A run with every step recorded. */
export interface GoldenTrace {
  readonly config: string;
  readonly class: string;
  readonly steps: number;
  readonly calls: number;
  readonly prefix: string;
  readonly step_kwargs: { readonly eta?: number };
  readonly set_timesteps_kwargs: { readonly mu?: number };
  readonly max_abs_sample: number;
}

interface SchedulerGoldens {
  readonly configs: Record<string, { readonly class: string; readonly config: JsonObject }>;
  readonly schedules: readonly GoldenSchedule[];
  readonly custom: readonly GoldenCustomSchedule[];
  readonly alphas_cumprod: readonly {
    readonly config_of: string;
    readonly tensor: string;
    readonly indices: readonly number[];
    readonly sha256_f32: string;
  }[];
  readonly traces: readonly GoldenTrace[];
}

/** The manifest of the reference values. */
export const GOLDENS: SchedulerGoldens = goldenJson("units/schedulers.json");

const { tensors: TENSORS } = decodeSafetensors(
  Deno.readFileSync(goldenPath("units/schedulers.safetensors")),
  "schedulers.safetensors",
);

/** Returns the values of a tensor. */
export function goldenValues(name: string): number[] {
  return Array.from(TENSORS[name]!.data as ArrayLike<number | bigint>, Number);
}

/** Returns the values of a float32 tensor. */
export function goldenFloats(name: string): Float32Array {
  return TENSORS[name]!.data as Float32Array;
}

/** Returns whether a tensor exists. */
export function hasTensor(name: string): boolean {
  return name in TENSORS;
}

/** Returns the largest difference; two NaN values do not differ. */
export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length, "lengths differ");
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= largest) && actual[i] !== expected[i]) largest = difference;
  }
  return largest;
}

/** Returns the largest difference relative to the expected value. */
export function largestRelativeDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length, "lengths differ");
  return Math.max(
    ...Array.from(
      expected,
      (value, i) => value === actual[i] ? 0 : Math.abs(actual[i]! - value) / Math.abs(value),
    ),
  );
}

/** Creates the scheduler of a golden configuration. */
export function goldenScheduler(config: string, run: RunOptions, overrides: JsonObject = {}): Scheduler {
  const entry = GOLDENS.configs[config]!;
  return createScheduler(entry.class, { ...entry.config, ...overrides }, run);
}

/** Returns a function that replays recorded draws in order. */
export function recordedDraws(noise: Float32Array): (count: number) => Float32Array {
  let drawn = 0;
  return (count) => noise.slice(drawn, drawn += count);
}
