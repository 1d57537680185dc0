/**
 * Formats numbers and jobs as text.
 *
 * @module
 */

import { settingsOfPicture } from "./settings.ts";
import type { NodeState } from "./state.ts";
import type { Job } from "./types.ts";

/** Formats a duration. */
export function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Formats an estimated remaining time. */
export function timeLeft(ms: number): string {
  const whole = Math.max(1, Math.round(ms / 1000));
  if (whole < 90) return `${whole} s left`;
  return whole < 5400 ? `${Math.round(whole / 60)} min left` : `${(whole / 3600).toFixed(1)} h left`;
}

/** Formats an amount of memory. */
export function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Formats the progress of a node that takes steps. */
export function stepsTaken({ step, steps, picture }: NodeState): string {
  if (steps === undefined) return "";
  return picture
    ? `picture ${picture.image + 1} of ${picture.images}, step ${picture.step} of ${picture.steps}`
    : `step ${step} of ${steps}`;
}

/** Returns the prompt of a job. */
export function promptOf(job: Job): string {
  return settingsOfPicture({ job, index: 0 })?.prompt || "a picture";
}

/** Returns a number with its noun. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
