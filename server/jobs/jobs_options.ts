/**
 * Options of {@linkcode Jobs}, and the order of a job.
 *
 * @module
 */

import type { RunEvent } from "../../graph/events.ts";
import type { Engine } from "../engine/engine.ts";
import type { Limits } from "../limits.ts";
import type { JobRun } from "./job_run.ts";
import type { Job, StoredJob } from "./job.ts";
import type { JobStore } from "./job_store.ts";
import type { StoreSpace } from "./store_space.ts";

/** Hooks for metrics and tracing. */
export interface JobsObserver {
  /** Called when a run is ordered, while the call that orders it is still on the stack. */
  ordered?(jobRun: JobRun): void;
  /** Called when a run starts. */
  began?(jobRun: JobRun): void;
  /** Does a run's work within the run's trace context. */
  within?<T>(jobRun: JobRun, work: () => Promise<T>): Promise<T>;
  /**
   * Called for each event of a run, once per run even if several jobs share it. The last event reports how
   * the run ended.
   */
  event?(event: RunEvent, jobRun: JobRun): void;
  /** Called when a job has ended. */
  ended?(job: Job): void;
  /** Called when the job store has been opened, and when jobs have been starred, unstarred or removed. */
  starred?(): void;
  /** Called when a run failed because of a fault of the server. */
  fault?(error: unknown, jobRun: JobRun): void;
}

/** Options of {@linkcode Jobs}. */
export interface JobsOptions {
  /** Runs graphs. */
  readonly engine: Engine;
  /** Stores jobs and events. */
  readonly store: JobStore;
  /** Checks that the store keeps the results of runs. */
  readonly space: StoreSpace;
  /** Limits on the queue, the history, and the attempts and duration of jobs. */
  readonly limits: Pick<
    Limits,
    | "maxQueue"
    | "maxQueuePerAddress"
    | "maxQueuePerClient"
    | "keptJobs"
    | "maxStarred"
    | "maxAttempts"
    | "maxJobSeconds"
  >;
  /** Hooks for metrics and tracing. */
  readonly observer?: JobsObserver | undefined;
}

/** An order of a job. */
export interface JobOrder
  extends
    Omit<StoredJob, "job" | "client" | "address">,
    Pick<Job, "kind" | "request" | "graph" | "warnings"> {
  /** Seconds from now after which an unfinished job fails. */
  readonly deadline?: number | undefined;
}
