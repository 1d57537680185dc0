import type { RunEvent } from "../../graph/events.ts";
import type { ShownError } from "../api_error.ts";
import type { JobRun } from "./job_run.ts";
import type { Job } from "./job.ts";
import type { JobStore } from "./job_store.ts";
import { Listeners } from "./listeners.ts";

/** The subject that followers of all jobs listen to. */
const ALL_JOBS = "";

/** Records changes of jobs and wakes their followers. */
export class JobJournal {
  #store: JobStore;
  #listeners = new Listeners();

  /** @param store Stores jobs and events. */
  constructor(store: JobStore) {
    this.#store = store;
  }

  /** Resolves at the next change of a job, or when {@linkcode JobJournal.wake} is called. */
  next(id: string): Promise<void> {
    return this.#listeners.next(id);
  }

  /** Resolves at the next change of any job, or when {@linkcode JobJournal.wakeAll} is called. */
  nextOfAll(): Promise<void> {
    return this.#listeners.next(ALL_JOBS);
  }

  /** Wakes the followers of a job and the followers of all jobs. */
  wake(id: string): void {
    this.#listeners.changed(id);
    this.#listeners.changed(ALL_JOBS);
  }

  /** Wakes only the followers of all jobs. */
  wakeFollowersOfAll(): void {
    this.#listeners.changed(ALL_JOBS);
  }

  /** Wakes every follower. */
  wakeAll(): void {
    this.#listeners.allChanged();
  }

  /**
   * Records that the jobs of a run start.
   *
   * @throws {FileError} if the record cannot be written. In that case no job has started.
   */
  begin(jobRun: JobRun): void {
    const begun = [...jobRun.jobs.values()].map(running);
    this.#store.begin(begun);
    this.#set(jobRun, begun);
  }

  /** Records that a job joins an active run. */
  join(jobRun: JobRun, job: Job): void {
    const [leader] = jobRun.jobs.values();
    const warnings = [...new Set([...job.warnings, ...leader?.warnings ?? []])];
    const joined = running({ ...job, warnings });
    this.#store.update(joined);
    if (leader) this.#store.copyEvents(leader.id, job.id);
    this.#set(jobRun, [joined]);
  }

  /** Records that a run has made progress. A restarted server continues after this point. */
  gotOn(jobRun: JobRun): void {
    const further = [...jobRun.jobs.values()].filter(({ attempts }) => attempts > 0);
    this.#change(jobRun, further.map((job) => ({ ...job, attempts: 0 })));
  }

  /** Records that the jobs of a run are waiting again. */
  requeue(jobRun: JobRun): void {
    for (const id of jobRun.jobs.keys()) this.#store.forgetPreviews(id);
    this.#change(jobRun, [...jobRun.jobs.values()].map((job) => ({ ...job, status: "queued" })));
  }

  /** Records an orderly shutdown. It does not count as an attempt, because the jobs did not cause it. */
  suspend(jobRun: JobRun): void {
    const suspended = [...jobRun.jobs.values()].map((job): Job => ({
      ...job,
      status: "queued",
      attempts: Math.max(job.attempts - 1, 0),
    }));
    this.#change(jobRun, suspended);
  }

  /**
   * Records whether a job of a run is starred.
   *
   * @throws {FileError} if the record cannot be written.
   */
  star(jobRun: JobRun, job: Job): void {
    this.#store.star(job);
    this.#set(jobRun, [job]);
  }

  /** Records an event of a job. */
  event(id: string, event: RunEvent): void {
    this.#store.addEvent(id, event.type, JSON.stringify(event));
    this.wake(id);
  }

  /** Adds a warning of a run to the results of its jobs. */
  warn(jobRun: JobRun, message: string): void {
    const unaware = [...jobRun.jobs.values()].filter(({ warnings }) => !warnings.includes(message));
    this.#change(jobRun, unaware.map((job) => ({ ...job, warnings: [...job.warnings, message] })));
  }

  /** Records the end of a job and its last event. */
  end(job: Job, last: RunEvent | undefined): Job {
    // The wall clock may have been set back since the start.
    const over: Job = { ...job, completed: Math.max(now(), job.started ?? job.created) };
    if (last) this.#store.addEvent(job.id, last.type, JSON.stringify(last));
    this.#store.forgetPreviews(job.id);
    this.#store.update(over);
    this.wake(job.id);
    return over;
  }

  #change(jobRun: JobRun, jobs: readonly Job[]): void {
    for (const job of jobs) this.#store.update(job);
    this.#set(jobRun, jobs);
  }

  #set(jobRun: JobRun, jobs: readonly Job[]): void {
    for (const job of jobs) {
      jobRun.jobs.set(job.id, job);
      this.wake(job.id);
    }
  }
}

function running(job: Job): Job {
  return { ...job, status: "running", started: job.started ?? now(), attempts: job.attempts + 1 };
}

/** Returns the last event of a job whose run did not finish, with the time that the run was active. */
export function endEvent({ status, error }: Pick<Job, "status" | "error">, elapsedMs: number): RunEvent {
  return status === "failed" && error ? failedEvent(error, elapsedMs) : { type: "cancelled", elapsedMs };
}

/** Returns the event that reports why a run failed. */
export function failedEvent({ name, code, fault, message }: ShownError, elapsedMs: number): RunEvent {
  return { type: "failed", elapsedMs, error: name, code, fault, message };
}

/** Returns the current time in seconds since 1970. */
export function now(): number {
  return Date.now() / 1000;
}
