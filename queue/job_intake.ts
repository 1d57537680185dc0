/**
 * Takes jobs from many queues, with a limit on concurrent jobs.
 *
 * @module
 */

import { UnrecoverableError, WaitingError } from "bullmq";
import { toPixstageError } from "../errors/foreign_error.ts";
import { isAbortError } from "../errors/foreign_error.ts";
import type { JobWorker, QueueBackend, TakenJob } from "./backend.ts";
import { failureText } from "./job_failure.ts";

/** Thrown or used as an abort reason to return a job to its queue, for another worker or for later. */
export class GivenBack extends Error {
  override name = "GivenBack";
}

/** Processes a job. An error fails the job; a {@linkcode GivenBack} returns it to its queue. */
export type Work = (job: TakenJob, signal: AbortSignal) => Promise<unknown>;

/** Options of a {@linkcode JobIntake}. */
export interface JobIntakeOptions {
  readonly backend: QueueBackend;
  /** Maximum number of concurrent jobs, over all queues. */
  readonly concurrency: number;
  /** Time, in ms, after which the job of a silent worker goes to another worker. */
  readonly leaseMs: number;
  readonly work: Work;
}

/** BullMQ's limit for lost workers of a job. In `refusePoison`, losses without progress have a lower one. */
const MOST_LOSSES = 1000;
/** Maximum number of queues that can be left: each needs connections, and each set of adapters has one. */
const MOST_PASSING = 64;

/** Takes jobs from queues. It never holds more jobs than it can process at once. */
export class JobIntake {
  readonly #options: JobIntakeOptions;
  #workers = new Map<string, JobWorker>();
  /** The queues that can be left, the most recently used one last. */
  #passing = new Set<string>();
  #running = new Map<string, AbortController>();
  #isClosing = false;

  /** @param options The server, the limit, the lease and the function that processes jobs. */
  constructor(options: JobIntakeOptions) {
    this.#options = options;
  }

  /** Names of the queues that jobs are taken from. */
  get queues(): readonly string[] {
    return [...this.#workers.keys()];
  }

  /** Number of running jobs. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Starts to take jobs from another queue.
   *
   * @param queue The name of the queue.
   * @param mayLeave Whether the queue can be left in favour of newer ones, because clients that wait there
   * announce it again.
   */
  async listen(queue: string, mayLeave: boolean = false): Promise<void> {
    if (this.#isClosing || this.#workers.has(queue)) return;
    const { backend, concurrency, leaseMs } = this.#options;
    const worker = backend.worker(queue, (job, token) => this.#take(worker, job, token), {
      concurrency,
      lockDuration: leaseMs,
      stalledInterval: Math.ceil(leaseMs / 2),
      maxStalledCount: MOST_LOSSES,
      runRetryDelay: 1000,
    });
    this.#workers.set(queue, worker);
    // If the lease of a job has expired, another worker has the job now.
    worker.on("lockRenewalFailed", (jobs) => {
      for (const job of jobs) this.cancel(queue, job);
    });
    await worker.waitUntilReady();
    if (!mayLeave) return;
    this.#passing.add(queue);
    const [oldest] = this.#passing;
    if (this.#passing.size > MOST_PASSING) await this.leave(oldest!);
  }

  /** Stops taking jobs from a queue. */
  async leave(queue: string): Promise<void> {
    const worker = this.#workers.get(queue);
    this.#workers.delete(queue);
    this.#passing.delete(queue);
    if (worker) await this.#options.backend.end(worker);
  }

  /** Stops a job if it is running here. */
  cancel(queue: string, job: string): void {
    this.#running.get(`${queue}/${job}`)?.abort(new DOMException("The job was stopped", "AbortError"));
  }

  /** Stops taking jobs, and returns the running ones to their queues. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const running of this.#running.values()) running.abort(new GivenBack());
    await Promise.allSettled([...this.#workers.values()].map((worker) => this.#options.backend.end(worker)));
  }

  async #take(worker: JobWorker, job: TakenJob, token: string): Promise<unknown> {
    const { concurrency, work } = this.#options;
    const name = `${worker.name}/${job.id}`;
    if (this.#isClosing || this.#running.size >= concurrency || this.#running.has(name)) {
      // A job from another queue took the last place, so this queue pauses until a job ends.
      await worker.pause(true);
      return await giveBack(job, token);
    }
    if (this.#passing.delete(worker.name)) this.#passing.add(worker.name);
    const controller = new AbortController();
    this.#running.set(name, controller);
    if (this.#running.size >= concurrency) await this.#pauseBut(worker);
    try {
      return await work(job, controller.signal);
    } catch (error) {
      if (error instanceof GivenBack || controller.signal.reason instanceof GivenBack) {
        return await giveBack(job, token);
      }
      // Only failures of the environment can succeed in another attempt.
      const mayPass = !isAbortError(error) && toPixstageError(error).fault === "environment";
      throw mayPass ? new Error(failureText(error)) : new UnrecoverableError(failureText(error));
    } finally {
      this.#running.delete(name);
      if (!this.#isClosing) this.#resume();
    }
  }

  async #pauseBut(busy: JobWorker): Promise<void> {
    const others = [...this.#workers.values()].filter((worker) => worker !== busy);
    await Promise.all(others.map((worker) => worker.pause(true)));
  }

  #resume(): void {
    for (const worker of this.#workers.values()) if (worker.isPaused()) void worker.resume();
  }
}

async function giveBack(job: TakenJob, token: string): Promise<never> {
  await job.moveToWait(token);
  throw new WaitingError();
}
