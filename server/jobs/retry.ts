/**
 * Decides which failed runs to repeat: those that failed because a process died, the disk was full, or the
 * store lost a result.
 *
 * @module
 */

import { PixstageError } from "../../errors/pixstage_error.ts";
import { StageProcessError } from "../../graph/hosts/host_error.ts";
import type { Limits } from "../limits.ts";
import type { JobRun } from "./job_run.ts";
import { NotKeptError, type StoreSpace } from "./store_space.ts";

/** Why a run is repeated, and the free bytes that it waits for; 0 if it need not wait. */
export interface Retry {
  readonly reason: string;
  readonly bytes: number;
}

/** Maximum attempts to run a graph whose results the store loses although its disk has space. */
const MOST_VAIN_RUNS = 3;

/**
 * Decides whether to repeat a failed run.
 *
 * @param run The run.
 * @param fault Why it failed.
 * @param options The store's disk, and the maximum number of attempts.
 * @returns `undefined` if the run is not repeated.
 */
export async function retryOf(
  jobRun: JobRun,
  fault: unknown,
  { space, limits }: { readonly space: StoreSpace; readonly limits: Pick<Limits, "maxAttempts"> },
): Promise<Retry | undefined> {
  const isFull = fault instanceof PixstageError && fault.code === "disk_full";
  const lacking = isFull ? await space.lacking() : 0;
  // All jobs may have been cancelled in the meantime.
  if (jobRun.jobs.size === 0) return undefined;
  if (fault instanceof NotKeptError) {
    // If there is space for the results, the run is not repeated forever.
    if (fault.bytes === 0) jobRun.vainRuns += 1;
    const { message, bytes } = fault;
    return fault.isWorthRepeating && jobRun.vainRuns < MOST_VAIN_RUNS
      ? { reason: message, bytes }
      : undefined;
  }
  if (isFull) {
    // The full disk may be another one, e.g. that of the temporary folder. The server cannot tell when that
    // disk has space.
    if (lacking === 0) jobRun.vainRuns += 1;
    return jobRun.vainRuns < MOST_VAIN_RUNS
      ? { reason: "A stage could not write because the disk is full", bytes: lacking }
      : undefined;
  }
  if (!(fault instanceof PixstageError) || fault.code !== "host_died") return undefined;
  const { maxAttempts } = limits;
  const attempts = attemptsOf(jobRun);
  if (attempts >= maxAttempts) return undefined;
  return { reason: `The process of the run died (attempt ${attempts} of ${maxAttempts})`, bytes: 0 };
}

/** Returns how often a run was started since its last progress. */
export function attemptsOf({ jobs }: JobRun): number {
  return Math.max(0, ...jobs.values().map(({ attempts }) => attempts));
}

/** Returns the message for clients about a fault whose details are only for the log. */
export function hiddenReason(fault: unknown, attempts: number): string {
  if (!(fault instanceof StageProcessError)) {
    return "The run failed because of an error in the server: find the reason in its log";
  }
  const { stage, signal } = fault;
  const how = signal === undefined ? "" : `, the last time from ${signal}`;
  return `The process that ran stage "${stage}" died ${attempts} times${how}, so the server will not run it again`;
}
