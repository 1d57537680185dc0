/**
 * Follows jobs in a queue until they end.
 *
 * @module
 */

import { PixstageError } from "../errors/pixstage_error.ts";
import type { JobEvents, JobQueue, QueueBackend } from "./backend.ts";
import { readFailure } from "./job_failure.ts";
import { jobProgressSchema, type JobReport } from "./messages.ts";

/** How a job ended. `gone` means that another client removed it. */
export type JobEnd =
  | { readonly type: "completed"; readonly value: unknown }
  | { readonly type: "failed"; readonly error: PixstageError | DOMException }
  | { readonly type: "gone" };

/** Options of {@linkcode JobChannel.follow}. */
export interface FollowOptions {
  /** Stops following. */
  readonly signal: AbortSignal;
  /** Called with each report of the job. */
  readonly onReport?: ((report: JobReport) => void) | undefined;
  /** Called about once per second while the job waits for a worker. An error that it throws ends the wait. */
  readonly onWait?: (() => Promise<void>) | undefined;
}

/** A follower of a job. */
interface Follower {
  report(report: JobReport): void;
  end(end: JobEnd): void;
}

/**
 * Events can be lost while a connection is down, so the job itself is polled too. The interval starts with
 * this value, in ms, and doubles each time, up to the next one.
 */
const FIRST_LOOK_MS = 20;
const NEXT_LOOKS_MS = 1000;
/** Time, in ms, after the end of a job within which its last events arrive. */
const EVENTS_MS = 100;
/** Maximum time, in ms, that the server of the queue can be unreachable. */
const AWAY_MS = 120_000;

/** A queue and its events, for clients that wait for jobs. */
export class JobChannel {
  readonly queue: JobQueue;
  #events: JobEvents;
  #followers = new Map<string, Set<Follower>>();

  /**
   * @param backend The server that stores the queue.
   * @param name The name of the queue.
   */
  constructor(backend: QueueBackend, name: string) {
    this.queue = backend.queue(name);
    this.#events = backend.events(name);
    this.#events.on("progress", ({ jobId, data }) => {
      const told = jobProgressSchema.safeParse(data).data?.reports ?? [];
      for (const report of told) this.#each(jobId, (follower) => follower.report(report));
    });
    this.#events.on("completed", ({ jobId, returnvalue }) => {
      this.#each(jobId, (follower) => follower.end({ type: "completed", value: returnvalue }));
    });
    this.#events.on("failed", ({ jobId, failedReason }) => {
      this.#each(jobId, (follower) => follower.end({ type: "failed", error: readFailure(failedReason) }));
    });
    this.#events.on(
      "removed",
      ({ jobId }) => this.#each(jobId, (follower) => follower.end({ type: "gone" })),
    );
  }

  /** Waits until events are received. */
  async ready(): Promise<this> {
    await Promise.all([this.queue.waitUntilReady(), this.#events.waitUntilReady()]);
    return this;
  }

  /** Returns the number of followers of a job in this process. */
  followers(id: string): number {
    return this.#followers.get(id)?.size ?? 0;
  }

  /**
   * Follows a job until it ends.
   *
   * @param id The id of the job.
   * @param options The signal that stops following, and the callbacks.
   * @throws the signal's reason once it is aborted.
   * @throws {PixstageError} if the server of the queue stays unreachable.
   */
  async follow(id: string, { signal, onReport, onWait }: FollowOptions): Promise<JobEnd> {
    const { promise, resolve, reject } = Promise.withResolvers<JobEnd>();
    const follower: Follower = { report: (report) => onReport?.(report), end: resolve };
    const all = this.#followers.get(id) ?? new Set();
    this.#followers.set(id, all.add(follower));
    const stop = new AbortController();
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    this.#watch(id, stop.signal, onWait).then(resolve, reject);
    try {
      return await promise;
    } finally {
      stop.abort();
      signal.removeEventListener("abort", abort);
      all.delete(follower);
      if (all.size === 0) this.#followers.delete(id);
    }
  }

  /** Polls a job until it ends. */
  async #watch(id: string, signal: AbortSignal, onWait: FollowOptions["onWait"]): Promise<JobEnd> {
    for (let wait = FIRST_LOOK_MS; !signal.aborted; wait = Math.min(wait * 2, NEXT_LOOKS_MS)) {
      await pause(wait, signal);
      if (signal.aborted) break;
      const found = await this.#inTime(this.#look(id));
      if (typeof found !== "string") {
        await pause(EVENTS_MS, signal);
        return found;
      }
      if (found === "waits" && wait === NEXT_LOOKS_MS) await onWait?.();
    }
    return { type: "gone" };
  }

  async #look(id: string): Promise<JobEnd | "waits" | "runs"> {
    const job = await this.queue.getJob(id);
    if (!job) return { type: "gone" };
    const state = await job.getState();
    if (state === "completed" || state === "failed") {
      // The job may have ended between the two reads, so its result is read again.
      const over = await this.queue.getJob(id);
      if (!over) return { type: "gone" };
      return state === "completed"
        ? { type: "completed", value: over.returnvalue }
        : { type: "failed", error: readFailure(over.failedReason) };
    }
    return state === "active" ? "runs" : "waits";
  }

  async #inTime<T>(looking: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const away = new Promise<never>((_, reject) => {
      const { host, port } = this.queue.opts.connection;
      const message = `The queue at ${host}:${port} has not answered for ${AWAY_MS / 1000} s. ` +
        "Its jobs continue when it is back: run the same command again";
      timer = setTimeout(() => reject(new PixstageError("unreachable", message)), AWAY_MS);
    });
    try {
      return await Promise.race([looking, away]);
    } finally {
      clearTimeout(timer);
    }
  }

  #each(id: string, call: (follower: Follower) => void): void {
    for (const follower of this.#followers.get(id) ?? []) call(follower);
  }
}

/** Waits for `ms` milliseconds, or until the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const over = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal.addEventListener("abort", over, { once: true });
  });
}
