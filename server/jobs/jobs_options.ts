/**
 * What jobs work with, and how a job is ordered.
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

/** Counts and traces runs. */
export interface JobsObserver {
  /** A run was ordered; what orders it is still on the stack. */
  ordered?(jobRun: JobRun): void;
  /** A run begins. */
  began?(jobRun: JobRun): void;
  /** Does a run's work in the run's place in a trace. */
  within?<T>(jobRun: JobRun, work: () => Promise<T>): Promise<T>;
  /** An event of a run, once however many jobs share it; the last tells how it ended. */
  event?(event: RunEvent, jobRun: JobRun): void;
  /** A job has ended. */
  ended?(job: Job): void;
  /** The jobs were opened, or some were starred, lost their stars or were removed. */
  starred?(): void;
  /** A run failed for a reason that lies with the server. */
  fault?(error: unknown, jobRun: JobRun): void;
}

/** What {@linkcode Jobs} work with. */
export interface JobsOptions {
  /** Runs graphs. */
  readonly engine: Engine;
  /** Keeps jobs and events. */
  readonly store: JobStore;
  /** Checks that the store keeps the results of runs. */
  readonly space: StoreSpace;
  /** Bounds of the queue, the history, the attempts and the time of jobs. */
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
  /** Counts and traces runs. */
  readonly observer?: JobsObserver | undefined;
}

/** What is asked for. */
export interface JobOrder
  extends
    Omit<StoredJob, "job" | "client" | "address">,
    Pick<Job, "kind" | "request" | "graph" | "warnings"> {
  /** Seconds from now after which an unfinished job fails. */
  readonly deadline?: number | undefined;
}
