/**
 * Taking jobs from many queues, a few at a time.
 *
 * @module
 */

import { UnrecoverableError, WaitingError } from "bullmq";
import { toPixstageError } from "../errors/foreign_error.ts";
import { isAbortError } from "../errors/foreign_error.ts";
import type { JobWorker, QueueBackend, TakenJob } from "./backend.ts";
import { failureText } from "./job_failure.ts";

/** A job that is to go back to its queue, for another worker or for later. */
export class GivenBack extends Error {
  override name = "GivenBack";
}

/** Does a job. What it throws fails the job; a {@linkcode GivenBack} hands it to another worker. */
export type Work = (job: TakenJob, signal: AbortSignal) => Promise<unknown>;

/** How jobs are taken. */
export interface JobIntakeOptions {
  readonly backend: QueueBackend;
  /** Jobs that are done at once, over all queues. */
  readonly lanes: number;
  /** Milliseconds after which a job whose worker is not heard of goes to another one. */
  readonly leaseMs: number;
  readonly work: Work;
}

/** A job may lose its worker this often; how often without getting further is counted where it is done. */
const MOST_LOSSES = 1000;
/** Each queue takes connections, and there is one for each combination of adapters. */
const MOST_PASSING = 64;

/** Takes jobs from queues, so that no more are held than can be done. */
export class JobIntake {
  readonly #options: JobIntakeOptions;
  #workers = new Map<string, JobWorker>();
  /** The queues that may be left, that of the latest job at the end. */
  #passing = new Set<string>();
  #running = new Map<string, AbortController>();
  #isClosing = false;

  /** @param options How jobs are taken. */
  constructor(options: JobIntakeOptions) {
    this.#options = options;
  }

  /** The queues that jobs are taken from. */
  get queues(): readonly string[] {
    return [...this.#workers.keys()];
  }

  /** Jobs that are being done. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Takes jobs from a queue too.
   *
   * @param queue The queue.
   * @param mayLeave Whether the queue may be left for newer ones: whoever waits there asks again.
   */
  async listen(queue: string, mayLeave: boolean = false): Promise<void> {
    if (this.#isClosing || this.#workers.has(queue)) return;
    const { backend, lanes, leaseMs } = this.#options;
    const worker = backend.worker(queue, (job, token) => this.#take(worker, job, token), {
      concurrency: lanes,
      lockDuration: leaseMs,
      stalledInterval: Math.ceil(leaseMs / 2),
      maxStalledCount: MOST_LOSSES,
      runRetryDelay: 1000,
    });
    this.#workers.set(queue, worker);
    // A job whose lease ran out is another worker's by now.
    worker.on("lockRenewalFailed", (jobs) => {
      for (const job of jobs) this.cancel(queue, job);
    });
    await worker.waitUntilReady();
    if (!mayLeave) return;
    this.#passing.add(queue);
    const [oldest] = this.#passing;
    if (this.#passing.size > MOST_PASSING) await this.leave(oldest!);
  }

  /** Takes no more jobs from a queue. */
  async leave(queue: string): Promise<void> {
    const worker = this.#workers.get(queue);
    this.#workers.delete(queue);
    this.#passing.delete(queue);
    if (worker) await this.#options.backend.end(worker);
  }

  /** Stops a job if it is being done here. */
  cancel(queue: string, job: string): void {
    this.#running.get(`${queue}/${job}`)?.abort(new DOMException("The job was stopped", "AbortError"));
  }

  /** Takes no more jobs, and gives back those that are being done. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const running of this.#running.values()) running.abort(new GivenBack());
    await Promise.allSettled([...this.#workers.values()].map((worker) => this.#options.backend.end(worker)));
  }

  async #take(worker: JobWorker, job: TakenJob, token: string): Promise<unknown> {
    const { lanes, work } = this.#options;
    const name = `${worker.name}/${job.id}`;
    if (this.#isClosing || this.#running.size >= lanes || this.#running.has(name)) {
      // The worker of another queue was faster: this one takes no more until there is room.
      await worker.pause(true);
      return await giveBack(job, token);
    }
    if (this.#passing.delete(worker.name)) this.#passing.add(worker.name);
    const controller = new AbortController();
    this.#running.set(name, controller);
    if (this.#running.size >= lanes) await this.#pauseBut(worker);
    try {
      return await work(job, controller.signal);
    } catch (error) {
      if (error instanceof GivenBack || controller.signal.reason instanceof GivenBack) {
        return await giveBack(job, token);
      }
      // Only what lies in the environment may go well another time.
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
