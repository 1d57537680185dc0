/**
 * Jobs in flight: who waits, what runs, and who is told of it.
 *
 * @module
 */

import type { RunEvent } from "../../graph/events.ts";
import { ApiError } from "../api_error.ts";
import type { Engine } from "../engine/engine.ts";
import type { Limits } from "../limits.ts";
import { FairQueue } from "./fair_queue.ts";
import { Flight, type JobProgress } from "./flight.ts";
import { isOver, type Job, type JobEvent, type StoredJob } from "./job.ts";
import type { JobQuery, JobStore } from "./job_store.ts";

/** What is told of runs to who counts and traces them. */
export interface JobsObserver {
  /** A run was ordered; what orders it is still on the stack. */
  ordered?(flight: Flight): void;
  /** A run begins. */
  began?(flight: Flight): void;
  /** An event of a run, once however many jobs share it; the last tells how it ended. */
  event?(event: RunEvent, flight: Flight): void;
  /** A job has ended. */
  ended?(job: Job): void;
  /** A run failed for a reason that lies with the server. */
  fault?(error: unknown, flight: Flight): void;
}

/** What {@linkcode Jobs} work with. */
export interface JobsOptions {
  /** Runs graphs. */
  readonly engine: Engine;
  /** Keeps jobs and events. */
  readonly store: JobStore;
  /** How many may wait, and how many are kept. */
  readonly limits: Pick<Limits, "maxQueue" | "keptJobs">;
  /** Is told of runs. */
  readonly observer?: JobsObserver | undefined;
}

/** What is asked for. */
export interface JobOrder extends Pick<Job, "kind" | "request" | "graph" | "warnings"> {
  /** Who asks. */
  readonly client: string;
  /** Whether denoising tells what it has come to at every step. */
  readonly previews: boolean;
  /** Orders of one key are done once while one of them is in flight. */
  readonly key: string;
}

const LAST_EVENTS: ReadonlySet<string> = new Set(["done", "failed", "cancelled"]);

/** Takes orders, runs them in turn, and keeps what became of them. */
export class Jobs {
  #options: JobsOptions;
  #queue = new FairQueue<Flight>();
  #flights = new Map<string, Flight>();
  #byJob = new Map<string, Flight>();
  #running = new Set<Flight>();
  #listeners = new Map<string, Set<() => void>>();
  #secondsOfARun = 2;
  #closed = false;

  /** @param options What jobs work with. Jobs that had not ended when the last server did go on. */
  constructor(options: JobsOptions) {
    this.#options = options;
    for (const stored of options.store.unfinished()) this.#enlist(stored);
    queueMicrotask(() => this.#dispatch());
  }

  /** Jobs that wait. */
  get waiting(): number {
    return this.#queue.inOrder().reduce((sum, { jobs }) => sum + jobs.size, 0);
  }

  /** Runs that are under way. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Takes an order.
   *
   * @throws {ApiError} 429 if too many wait, with the seconds after which to try again.
   */
  submit(order: JobOrder): Job {
    const { store, limits, engine } = this.#options;
    const waiting = this.waiting;
    if (waiting >= limits.maxQueue) {
      const seconds = Math.ceil(this.#secondsOfARun * this.#queue.size / engine.lanes);
      throw new ApiError("queue_full", `Cannot take the job as ${waiting} wait already: try again later`, {
        headers: { "retry-after": String(Math.min(Math.max(seconds, 1), 300)) },
      });
    }
    const { kind, request, graph, warnings, ...rest } = order;
    const job: Job = {
      id: `job_${crypto.randomUUID().replaceAll("-", "")}`,
      object: "job",
      kind,
      status: "queued",
      created: now(),
      started: null,
      completed: null,
      request,
      graph,
      artifacts: {},
      warnings,
      error: null,
    };
    store.insert({ ...rest, job });
    this.#enlist({ ...rest, job });
    this.#dispatch();
    return this.get(job.id)!;
  }

  /** A job, or undefined. */
  get(id: string): Job | undefined {
    return this.#byJob.get(id)?.jobs.get(id) ?? this.#options.store.get(id);
  }

  /** Jobs, the newest first. */
  list(query: JobQuery): Job[] {
    return this.#options.store.list(query);
  }

  /** How many are served before a job that waits; `null` if it does not wait. */
  position(id: string): number | null {
    const flight = this.#byJob.get(id);
    return flight && !flight.isRunning ? this.#queue.inOrder().indexOf(flight) : null;
  }

  /** What a job that runs has come to. */
  progress(id: string): JobProgress | null {
    return this.#byJob.get(id)?.progress ?? null;
  }

  /** Cancels a job: one that waits never runs, one that runs stops at the next step unless another job shares the run. */
  cancel(id: string): Job | undefined {
    const flight = this.#byJob.get(id);
    const job = flight?.jobs.get(id);
    if (!flight || !job) return this.get(id);
    this.#tell(id, { type: "cancelled", elapsedMs: (now() - (job.started ?? now())) * 1000 });
    const over = this.#end(flight, { ...job, status: "cancelled" });
    if (flight.jobs.size === 0) {
      this.#flights.delete(flight.key);
      this.#queue.remove(flight);
      flight.controller.abort();
    }
    return over;
  }

  /** Events of a job after a number, as they come, to the last. */
  async *follow(id: string, after: number, signal: AbortSignal): AsyncGenerator<JobEvent> {
    let last = after;
    signal.addEventListener("abort", () => this.#changed(id), { once: true });
    while (!signal.aborted && !this.#closed) {
      const events = this.#options.store.events(id, last);
      for (const event of events) {
        last = event.number;
        yield event;
      }
      if (events.length > 0) continue;
      const job = this.get(id);
      if (!job || isOver(job.status)) return;
      // Nothing can have changed since: whoever changes jobs runs in this thread too.
      await this.#nextChange(id);
    }
  }

  /** Waits for the end of a job. */
  async ended(id: string, signal: AbortSignal): Promise<Job | undefined> {
    signal.addEventListener("abort", () => this.#changed(id), { once: true });
    for (;;) {
      const job = this.get(id);
      if (!job || isOver(job.status) || signal.aborted || this.#closed) return job;
      await this.#nextChange(id);
    }
  }

  /** Ends all runs. Their jobs go on where the same store is opened again. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const flight of this.#running) flight.controller.abort();
    for (const id of [...this.#listeners.keys()]) this.#changed(id);
    await this.#options.engine.close();
    this.#options.store.close();
  }

  /** Puts a job into the flight that does the same already, or into one of its own. */
  #enlist(stored: StoredJob): void {
    const { job, key, client } = stored;
    const flight = this.#flights.get(key);
    if (!flight) {
      const own = new Flight({ ...stored, job: { ...job, status: "queued" } });
      this.#options.observer?.ordered?.(own);
      this.#flights.set(key, own);
      this.#byJob.set(job.id, own);
      this.#queue.push(client, own);
      return;
    }
    const [leader] = flight.jobs.keys();
    flight.jobs.set(job.id, job);
    this.#byJob.set(job.id, flight);
    if (!flight.isRunning) return;
    this.#begin(flight, job);
    this.#options.store.copyEvents(leader!, job.id);
  }

  #dispatch(): void {
    while (!this.#closed && this.#running.size < this.#options.engine.lanes) {
      const flight = this.#queue.shift((next) =>
        ![...this.#running].some((running) => next.shouldWaitFor(running))
      );
      if (!flight) return;
      this.#running.add(flight);
      this.#run(flight);
    }
  }

  async #run(flight: Flight): Promise<void> {
    const started = now();
    flight.isRunning = true;
    this.#options.observer?.began?.(flight);
    for (const job of flight.jobs.values()) this.#begin(flight, job);
    // The last event is told when the end of the job has been written down, so that whoever sees it finds the job over.
    let last: RunEvent | undefined;
    const onEvent = (event: RunEvent): void => {
      if (LAST_EVENTS.has(event.type)) last = event;
      else this.#event(flight, event);
    };
    const { graph, previews, controller } = flight;
    let end: Pick<Job, "status"> & Partial<Job>;
    try {
      const artifacts = await this.#options.engine.run({
        graph,
        previews,
        signal: controller.signal,
        onEvent,
      });
      end = { status: "completed", artifacts };
      this.#secondsOfARun += (now() - started - this.#secondsOfARun) / 8;
    } catch (fault) {
      const reply = ApiError.from(fault, { hidden: HIDDEN });
      const error = reply.shown;
      end = { status: "failed", error };
      const elapsedMs = (now() - started) * 1000;
      last = controller.signal.aborted ? { type: "cancelled", elapsedMs } : {
        type: "failed",
        elapsedMs,
        error: error.name,
        code: error.code,
        fault: error.fault,
        message: error.message,
      };
      if (reply.status >= 500 && !controller.signal.aborted) {
        this.#options.observer?.fault?.(fault, flight);
      }
    }
    if (last) this.#options.observer?.event?.(last, flight);
    this.#running.delete(flight);
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key);
    if (this.#closed) return;
    for (const job of [...flight.jobs.values()]) {
      if (last) this.#options.store.addEvent(job.id, last.type, JSON.stringify(last));
      this.#end(flight, { ...job, ...end });
    }
    this.#options.store.prune(this.#options.limits.keptJobs);
    this.#dispatch();
  }

  #begin(flight: Flight, job: Job): void {
    const running: Job = { ...job, status: "running", started: job.started ?? now() };
    flight.jobs.set(job.id, running);
    this.#options.store.update(running);
    this.#changed(job.id);
  }

  #event(flight: Flight, event: RunEvent): void {
    this.#options.observer?.event?.(event, flight);
    if (event.type === "step") {
      const { node, stage, step, steps } = event;
      flight.progress = { node, stage, step, steps };
    } else if (event.type === "stage:end" || event.type === "stage:cached") {
      flight.nodeDone(event.node);
      if (this.#queue.size > 0) this.#dispatch();
    }
    for (const id of flight.jobs.keys()) this.#tell(id, event);
  }

  #tell(id: string, event: RunEvent): void {
    this.#options.store.addEvent(id, event.type, JSON.stringify(event));
    this.#changed(id);
  }

  #end(flight: Flight, job: Job): Job {
    const over: Job = { ...job, completed: now() };
    this.#options.store.forgetPreviews(over.id);
    this.#options.store.update(over);
    flight.jobs.delete(over.id);
    this.#byJob.delete(over.id);
    this.#options.observer?.ended?.(over);
    this.#changed(over.id);
    return over;
  }

  #nextChange(id: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const listeners = this.#listeners.get(id) ?? new Set();
    this.#listeners.set(id, listeners.add(resolve));
    return promise;
  }

  #changed(id: string): void {
    const listeners = this.#listeners.get(id);
    this.#listeners.delete(id);
    for (const listener of listeners ?? []) listener();
  }
}

const HIDDEN = "The run failed for a reason that lies with the server: see its log";

function now(): number {
  return Date.now() / 1000;
}
