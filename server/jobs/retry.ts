/**
 * Runs that failed for a reason that may pass: a process that ended, a full disk, a store that lost a result.
 *
 * @module
 */

import { PixstageError } from "../../errors/pixstage_error.ts";
import { StageProcessError } from "../../graph/hosts/host_error.ts";
import type { Limits } from "../limits.ts";
import type { JobRun } from "./job_run.ts";
import { NotKeptError, type StoreSpace } from "./store_space.ts";

/** Why a run is made again, and the free bytes that it waits for; 0 where it need not wait. */
export interface Retry {
  readonly reason: string;
  readonly bytes: number;
}

/** Attempts to run a graph whose results the store loses although its disk has space. */
const MOST_VAIN_RUNS = 3;

/**
 * Decides whether a run that failed is made again.
 *
 * @param run The run.
 * @param fault Why it failed.
 * @param options The store's disk, and the most attempts.
 * @returns `undefined` if it is over.
 */
export async function retryOf(
  jobRun: JobRun,
  fault: unknown,
  { space, limits }: { readonly space: StoreSpace; readonly limits: Pick<Limits, "maxAttempts"> },
): Promise<Retry | undefined> {
  const isFull = fault instanceof PixstageError && fault.code === "disk_full";
  const lacking = isFull ? await space.lacking() : 0;
  // All jobs may have been cancelled meanwhile.
  if (jobRun.jobs.size === 0) return undefined;
  if (fault instanceof NotKeptError) {
    // Not for ever where there is space for the results.
    if (fault.bytes === 0) jobRun.vainRuns += 1;
    const { message, bytes } = fault;
    return fault.isWorthRepeating && jobRun.vainRuns < MOST_VAIN_RUNS
      ? { reason: message, bytes }
      : undefined;
  }
  if (isFull) {
    // The full disk may be another one: that of the temporary folder. Nothing tells when that has space.
    if (lacking === 0) jobRun.vainRuns += 1;
    return jobRun.vainRuns < MOST_VAIN_RUNS
      ? { reason: "A stage could not write to the disk, which is full", bytes: lacking }
      : undefined;
  }
  if (!(fault instanceof PixstageError) || fault.code !== "host_died") return undefined;
  const { maxAttempts } = limits;
  const attempts = attemptsOf(jobRun);
  if (attempts >= maxAttempts) return undefined;
  return { reason: `The process of the run ended (attempt ${attempts} of ${maxAttempts})`, bytes: 0 };
}

/** Times that a run was begun since it last got on. */
export function attemptsOf({ jobs }: JobRun): number {
  return Math.max(0, ...jobs.values().map(({ attempts }) => attempts));
}

/** What clients read of a fault whose details are for the log. */
export function hiddenReason(fault: unknown, attempts: number): string {
  if (!(fault instanceof StageProcessError)) {
    return "The run failed for a reason that lies with the server: see its log";
  }
  const { stage, signal } = fault;
  const how = signal === undefined ? "" : `, the last time by ${signal}`;
  return `The process that ran stage "${stage}" ended ${attempts} times${how}: it is not run again`;
}
