import type { RunEvent } from "../../graph/events.ts";
import type { ShownError } from "../api_error.ts";
import type { Flight } from "./flight.ts";
import type { Job } from "./job.ts";
import type { JobStore } from "./job_store.ts";
import { Listeners } from "./listeners.ts";

/** Writes down what becomes of jobs, and wakes those who follow them. */
export class JobJournal {
  #store: JobStore;
  #listeners = new Listeners();

  /** @param store Keeps jobs and events. */
  constructor(store: JobStore) {
    this.#store = store;
  }

  /** Settles when something becomes of a job, or when {@linkcode JobJournal.wake} says so. */
  next(id: string): Promise<void> {
    return this.#listeners.next(id);
  }

  /** Lets those who follow a job look at it again. */
  wake(id: string): void {
    this.#listeners.changed(id);
  }

  /** Lets all look at their jobs again. */
  wakeAll(): void {
    this.#listeners.allChanged();
  }

  /**
   * The jobs of a run begin.
   *
   * @throws {FileError} if that cannot be written; then none has begun.
   */
  begin(flight: Flight): void {
    const begun = [...flight.jobs.values()].map(running);
    this.#store.begin(begun);
    this.#set(flight, begun);
  }

  /** A job joins a run that is under way. */
  join(flight: Flight, job: Job): void {
    const [leader] = flight.jobs.keys();
    const joined = running(job);
    this.#store.update(joined);
    if (leader !== undefined) this.#store.copyEvents(leader, job.id);
    this.#set(flight, [joined]);
  }

  /** A run got on: what the store has now need not be done again, should the server end. */
  gotOn(flight: Flight): void {
    const further = [...flight.jobs.values()].filter(({ attempts }) => attempts > 0);
    this.#change(flight, further.map((job) => ({ ...job, attempts: 0 })));
  }

  /** The jobs of a run wait again. */
  requeue(flight: Flight): void {
    for (const id of flight.jobs.keys()) this.#store.forgetPreviews(id);
    this.#change(flight, [...flight.jobs.values()].map((job) => ({ ...job, status: "queued" })));
  }

  /** The server ends in order: this attempt was not ended by the jobs. */
  suspend(flight: Flight): void {
    const suspended = [...flight.jobs.values()].map((job): Job => ({
      ...job,
      status: "queued",
      attempts: Math.max(job.attempts - 1, 0),
    }));
    this.#change(flight, suspended);
  }

  /** Something happened in the run of a job. */
  event(id: string, event: RunEvent): void {
    this.#store.addEvent(id, event.type, JSON.stringify(event));
    this.wake(id);
  }

  /** A job has ended, and this is its last event. */
  end(job: Job, last: RunEvent | undefined): Job {
    const over: Job = { ...job, completed: now() };
    if (last) this.#store.addEvent(job.id, last.type, JSON.stringify(last));
    this.#store.forgetPreviews(job.id);
    this.#store.update(over);
    this.wake(job.id);
    return over;
  }

  #change(flight: Flight, jobs: readonly Job[]): void {
    for (const job of jobs) this.#store.update(job);
    this.#set(flight, jobs);
  }

  #set(flight: Flight, jobs: readonly Job[]): void {
    for (const job of jobs) {
      flight.jobs.set(job.id, job);
      this.wake(job.id);
    }
  }
}

function running(job: Job): Job {
  return { ...job, status: "running", started: job.started ?? now(), attempts: job.attempts + 1 };
}

/** The event that tells how a job ended that was not run to its end. */
export function endEvent({ started, status, error }: Pick<Job, "started" | "status" | "error">): RunEvent {
  const elapsedMs = started === null ? 0 : (now() - started) * 1000;
  return status === "failed" && error ? failedEvent(error, elapsedMs) : { type: "cancelled", elapsedMs };
}

/** The event that tells why a run failed. */
export function failedEvent({ name, code, fault, message }: ShownError, elapsedMs: number): RunEvent {
  return { type: "failed", elapsedMs, error: name, code, fault, message };
}

/** The time in seconds since 1970. */
export function now(): number {
  return Date.now() / 1000;
}
