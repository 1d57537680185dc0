// This module is browser compatible.

/**
 * A part of the steps of a denoising, as shares of all of them.
 *
 * @module
 */

import { z } from "zod";

const share = z.number().min(0).max(1);

/** The schema of {@linkcode StepInterval}. */
export const stepIntervalSchema = z.tuple([share, share])
  .refine(([start, end]) => start <= end, "It must not end before it starts");

/** Where a part of the steps starts and where it ends, each from 0 to 1: [0.25, 0.75] is the half in the middle. */
export type StepInterval = z.infer<typeof stepIntervalSchema>;

/** Steps that follow one another. */
export interface StepRange {
  /** The first step, from 0. */
  readonly first: number;
  /** One past the last step; no larger than `first` where there are none. */
  readonly end: number;
}

/**
 * The steps of an interval, by the rule of diffusers' guiders (`_is_enabled` of `ClassifierFreeGuidance`): step i of n is
 * one of them while ⌊start · n⌋ ≤ i < ⌊end · n⌋.
 *
 * @param interval Where it starts and ends; all steps if left out.
 * @param steps How many steps there are in all.
 * @returns Its steps.
 */
export function stepsWithin(interval: StepInterval | undefined, steps: number): StepRange {
  const [start, end] = interval ?? [0, 1];
  return { first: Math.floor(start * steps), end: Math.floor(end * steps) };
}

/** Whether a step is one of some that follow one another. */
export function isWithin({ first, end }: StepRange, step: number): boolean {
  return first <= step && step < end;
}
