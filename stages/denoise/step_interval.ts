// This module is browser compatible.

/**
 * A part of a denoising's steps, as shares of all steps.
 *
 * @module
 */

import { z } from "zod";

const share = z.number().min(0).max(1);

/** The schema of {@linkcode StepInterval}. */
export const stepIntervalSchema = z.tuple([share, share])
  .refine(([start, end]) => start <= end, "It must not end before it starts");

/** Start and end of a part of the steps, each from 0 to 1, e.g. [0.25, 0.75] for the middle half. */
export type StepInterval = z.infer<typeof stepIntervalSchema>;

/** A range of consecutive steps. */
export interface StepRange {
  /** The first step, from 0. */
  readonly first: number;
  /** One past the last step. At most `first` if the range is empty. */
  readonly end: number;
}

/**
 * Returns the steps of an interval, by the rule of diffusers' guiders (`_is_enabled` of
 * `ClassifierFreeGuidance`): step i of n belongs to it if ⌊start · n⌋ ≤ i < ⌊end · n⌋.
 *
 * @param interval The interval. The default is all steps.
 * @param steps Total number of steps.
 * @returns The steps of the interval.
 */
export function stepsWithin(interval: StepInterval | undefined, steps: number): StepRange {
  const [start, end] = interval ?? [0, 1];
  return { first: Math.floor(start * steps), end: Math.floor(end * steps) };
}

/** Returns whether a step is in a range. */
export function isWithin({ first, end }: StepRange, step: number): boolean {
  return first <= step && step < end;
}
