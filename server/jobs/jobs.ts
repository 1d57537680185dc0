/**
 * The queue of jobs, their runs, and the clients that follow them.
 *
 * @module
 */

import { FileError } from "../../disk/file_error.ts";
import type { RunEvent } from "../../graph/events.ts";
import { ApiError } from "../api_error.ts";
import { FairQueue } from "./fair_queue.ts";
import { type JobProgress, JobRun } from "./job_run.ts";
import { isOver, type Job, type JobEvent, type StoredJob } from "./job.ts";
import { endEvent, failedEvent, JobJournal, now } from "./job_journal.ts";
import type { JobPage, JobQuery } from "./job_tables.ts";
import type { JobOrder, JobsOptions } from "./jobs_options.ts";
import { type QueueClient, type QueuePlace, QueuePlaces } from "./queue_places.ts";
import { attemptsOf, hiddenReason, type Retry, retryOf } from "./retry.ts";

/** Milliseconds between two checks of deadlines, of the disk, and of changes that the job store lacks. */
const RETRY_MS = 1000;

const LAST_EVENTS: ReadonlySet<string> = new Set(["done", "failed", "cancelled"]);

/** Accepts orders, runs them in turn, and stores their results. */
export class Jobs {
  #options: JobsOptions;
  #queue = new FairQueue<JobRun>();
  #jobRuns = new Map<string, JobRun>();
  #byJob = new Map<string, JobRun>();
  #clients = new Map<string, QueueClient>();
  #places: QueuePlaces;
  #running = new Set<JobRun>();
  #journal: JobJournal;
  #secondsOfARun = 2;
  #closed = false;
  #isTakenUp = false;
  #endedCount = 0;
  #timer: ReturnType<typeof setInterval>;

  /** @param options The parts that jobs work with. Jobs that the last server left unfinished continue. */
  constructor(options: JobsOptions) {
    this.#options = options;
    this.#journal = new JobJournal(options.store);
    this.#places = new QueuePlaces(options.limits);
    this.#takeUp();
    queueMicrotask(() => this.#dispatch());
    // If a check fails, the next one repeats it.
    this.#timer = setInterval(() => this.#retry().catch(() => {}), RETRY_MS);
  }

  /** Number of waiting jobs. */
  get waiting(): number {
    return this.#queue.inOrder().reduce((sum, { jobs }) => sum + jobs.size, 0);
  }

  /** Number of active runs. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Reserves a place in the queue before an order is checked.
   *
   * @param client The client that asks.
   * @returns The place, for {@linkcode Jobs.submit}. The caller then disposes of it.
   * @throws {ApiError} 429 if too many jobs wait, with the seconds after which to try again.
   * @throws {FileError} if jobs are waiting for free disk space.
   */
  reserve(client: QueueClient): QueuePlace {
    this.#options.store.catchUp();
    if (this.#obstacle) throw this.#obstacle;
    const waiting = [...this.#byJob].flatMap(([id, { isRunning }]) =>
      isRunning ? [] : [this.#clients.get(id)!]
    );
    const seconds = Math.ceil(this.#secondsOfARun * this.#queue.size / this.#options.engine.concurrency);
    return this.#places.take(client, waiting, Math.min(Math.max(seconds, 1), 300));
  }

  /**
   * Submits an order.
   *
   * @param order The order.
   * @param place The place in the queue that was reserved for it.
   * @throws {FileError} if the order cannot be written, or if jobs are waiting for free disk space.
   */
  submit({ kind, request, graph, warnings, deadline, ...more }: JobOrder, place: QueuePlace): Job {
    const { store, limits } = this.#options;
    store.catchUp();
    if (this.#obstacle) throw this.#obstacle;
    const rest = { ...more, ...place.holder };
    const job: Job = {
      id: `job_${crypto.randomUUID().replaceAll("-", "")}`,
      object: "job",
      kind,
      status: "queued",
      created: now(),
      started: null,
      completed: null,
      deadline: deadline ?? limits.maxJobSeconds,
      attempts: 0,
      request,
      graph,
      artifacts: {},
      warnings,
      error: null,
      starred: false,
    };
    store.insert({ ...rest, job });
    place[Symbol.dispose]();
    this.#enlist({ ...rest, job });
    this.#journal.wake(job.id);
    this.#dispatch();
    return this.get(job.id)!;
  }

  /** Returns a job, or undefined if there is none. */
  get(id: string): Job | undefined {
    return this.#byJob.get(id)?.jobs.get(id) ?? this.#options.store.get(id);
  }

  /** Lists jobs, the newest first. */
  list(query: JobQuery): JobPage {
    return this.#options.store.list(query);
  }

  /** Returns the running jobs, then the waiting ones in the order of the queue. */
  unfinished(): Job[] {
    return [...this.#running, ...this.#queue.inOrder()].flatMap(({ jobs }) => [...jobs.values()]);
  }

  /** Number of jobs that have ended since the server started. */
  get endedCount(): number {
    return this.#endedCount;
  }

  /** Yields immediately, and again after changes of any job. */
  async *changes(signal: AbortSignal): AsyncGenerator<void> {
    signal.addEventListener("abort", () => this.#journal.wakeFollowersOfAll(), { once: true });
    while (!signal.aborted && !this.#closed) {
      const next = this.#journal.nextOfAll();
      yield;
      await next;
    }
  }

  /**
   * Removes a finished job from the list. Its artifacts stay in the store.
   *
   * @throws {FileError} if the job cannot be removed.
   */
  remove(id: string): void {
    this.#options.store.remove(id);
    this.#endedCount += 1;
    this.#journal.wake(id);
    this.#options.observer?.starred?.();
  }

  /**
   * Adds or removes the star of a job. No clean-up removes a starred job or its artifacts.
   *
   * @throws {ApiError} 400 if too many jobs are starred.
   * @throws {FileError} if the change cannot be written.
   */
  star(job: Job, starred: boolean): Job {
    const { store, limits: { maxStarred }, observer } = this.#options;
    if (job.starred === starred) return job;
    if (starred && store.starredCount() >= maxStarred) {
      const message =
        `starred: ${maxStarred} jobs are starred, which is the maximum: unstar another one first`;
      throw new ApiError("out_of_range", message, { param: "starred" });
    }
    const changed = { ...job, starred };
    const jobRun = this.#byJob.get(job.id);
    if (jobRun) this.#journal.star(jobRun, changed);
    else store.star(changed);
    this.#journal.wake(job.id);
    observer?.starred?.();
    return changed;
  }

  /** Returns the ids of the artifacts that starred jobs made. */
  starredArtifacts(): Set<string> {
    const { store } = this.#options;
    return new Set(store.isOpen ? store.starredArtifacts() : []);
  }

  /**
   * Returns the ids of the artifacts in use: the inputs and snapshots of unfinished jobs, and the results of
   * starred jobs.
   */
  artifactsInUse(): Set<string> {
    return new Set([...this.#byJob.values().flatMap(({ needed }) => needed), ...this.starredArtifacts()]);
  }

  /** Returns the number of runs ahead of a waiting job; `null` if it is not waiting. */
  position(id: string): number | null {
    const jobRun = this.#byJob.get(id);
    return jobRun && !jobRun.isRunning ? this.#queue.inOrder().indexOf(jobRun) : null;
  }

  /** Returns the progress of a running job. */
  progress(id: string): JobProgress | null {
    return this.#byJob.get(id)?.progress ?? null;
  }

  /**
   * Cancels a job. A waiting job never runs. A running one stops at its next step, unless another job shares
   * its run.
   */
  cancel(id: string): Job | undefined {
    return this.#withdraw(id, { status: "cancelled" }) ?? this.get(id);
  }

  /** Ends a job before its run ends. The run stops unless another job shares it. */
  #withdraw(id: string, end: Pick<Job, "status"> & Partial<Job>): Job | undefined {
    const jobRun = this.#byJob.get(id);
    const job = jobRun?.jobs.get(id);
    if (!jobRun || !job) return undefined;
    const ended = { ...job, ...end };
    const over = this.#end(jobRun, ended, endEvent(ended, jobRun.elapsedMs));
    if (jobRun.jobs.size === 0) {
      this.#jobRuns.delete(jobRun.key);
      this.#queue.remove(jobRun);
      jobRun.controller.abort();
    }
    return over;
  }

  /**
   * Yields the events of a job after a number as they occur, up to the last.
   *
   * @param id The job.
   * @param after The number of the last known event.
   * @param signal Ends the stream.
   * @param forRequest Whether a request waits for the job's end. If so, the job is cancelled if it would have
   * to wait for free disk space, as in {@linkcode Jobs.ended}.
   * @throws {FileError} if such a job would have to wait for free disk space.
   */
  async *follow(
    id: string,
    after: number,
    signal: AbortSignal,
    forRequest = false,
  ): AsyncGenerator<JobEvent> {
    let last = after;
    signal.addEventListener("abort", () => this.#journal.wake(id), { once: true });
    while (!signal.aborted && !this.#closed) {
      const events = this.#options.store.events(id, last);
      for (const event of events) {
        last = event.number;
        yield event;
      }
      if (events.length > 0) continue;
      const job = this.get(id);
      if (!job || isOver(job.status)) return;
      if (forRequest) this.#requireSpace(job);
      // No change can be missed here, because all code that changes jobs runs on this thread.
      await this.#journal.next(id);
    }
  }

  /**
   * Waits for the end of a job on behalf of a request. Cancels a job that would have to wait for free disk
   * space, so that the request gets an answer.
   *
   * @throws {FileError} if the job would have to wait for free disk space.
   */
  async ended(id: string, signal: AbortSignal): Promise<Job | undefined> {
    signal.addEventListener("abort", () => this.#journal.wake(id), { once: true });
    for (;;) {
      const job = this.get(id);
      if (!job || isOver(job.status) || signal.aborted || this.#closed) return job;
      this.#requireSpace(job);
      await this.#journal.next(id);
    }
  }

  /** Cancels a job that would have to wait for free disk space, so that its request gets an answer. */
  #requireSpace({ id, status }: Job): void {
    const obstacle = this.#obstacle;
    if (!obstacle || status !== "queued") return;
    this.cancel(id);
    throw obstacle;
  }

  /** Stops all runs. Their jobs continue once a server opens the same store. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const jobRun of this.#running) {
      this.#journal.suspend(jobRun);
      jobRun.controller.abort();
    }
    this.#journal.wakeAll();
    await this.#options.engine.close();
    this.#options.store.close();
  }

  /** Adds a job to the run that already does the same work, or to a new run. */
  #enlist(stored: StoredJob): void {
    const { job, key, client, address } = stored;
    this.#clients.set(job.id, { client, address });
    const jobRun = this.#jobRuns.get(key);
    if (!jobRun) {
      const own = new JobRun({ ...stored, job: { ...job, status: "queued" } });
      this.#options.observer?.ordered?.(own);
      this.#jobRuns.set(key, own);
      this.#byJob.set(job.id, own);
      this.#queue.push(client, own);
      return;
    }
    if (jobRun.isRunning) this.#journal.join(jobRun, job);
    else jobRun.jobs.set(job.id, job);
    this.#byJob.set(job.id, jobRun);
  }

  /** Resumes the jobs that the last server left unfinished, once the job store is open. */
  #takeUp(): void {
    if (this.#isTakenUp || !this.#options.store.isOpen) return;
    this.#isTakenUp = true;
    const { store, limits, observer } = this.#options;
    for (const stored of store.unfinished()) {
      const { job } = stored;
      if (job.status === "queued" || job.attempts < limits.maxAttempts) {
        this.#enlist(stored);
        for (const [node, id] of store.snapshots(job.id)) {
          this.#byJob.get(job.id)?.snapshotIds.set(node, id);
        }
        continue;
      }
      const message =
        `The server stopped ${job.attempts} times while it ran this job, so it will not run it again`;
      const { shown: error } = new ApiError("too_many_attempts", message);
      const failed: Job = { ...job, status: "failed", error };
      observer?.ended?.(this.#journal.end(failed, endEvent(failed, 0)));
    }
    this.#endOverdue();
    observer?.starred?.();
  }

  /** Ends the jobs whose deadline has passed. */
  #endOverdue(): void {
    for (const jobRun of new Set(this.#byJob.values())) {
      for (const { id, created, deadline } of jobRun.jobs.values()) {
        const seconds = deadline ?? this.#options.limits.maxJobSeconds;
        if (now() < created + seconds) continue;
        const message = `The job did not finish within its deadline of ${seconds} seconds`;
        this.#withdraw(id, { status: "failed", error: new ApiError("deadline_exceeded", message).shown });
      }
    }
  }

  /** Checks deadlines and the disk, writes changes that the job store lacks, and starts runs. */
  async #retry(): Promise<void> {
    const { store, space } = this.#options;
    store.catchUp();
    this.#takeUp();
    this.#endOverdue();
    await space.look();
    if (this.#obstacle) this.#wakeWaiting();
    this.#dispatch();
  }

  #dispatch(): void {
    const { engine, space } = this.#options;
    while (!this.#closed && !this.#obstacle && this.#running.size < engine.concurrency) {
      const jobRun = this.#queue.shift((next) =>
        ![...this.#running].some((running) => next.shouldWaitFor(running))
      );
      if (!jobRun) return;
      try {
        this.#journal.begin(jobRun);
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
        this.#queue.putBack(jobRun.client, jobRun);
        space.waitAfter(error);
        return this.#wakeWaiting();
      }
      this.#running.add(jobRun);
      this.#run(jobRun);
    }
  }

  async #run(jobRun: JobRun): Promise<void> {
    jobRun.runningSince = performance.now();
    this.#options.observer?.began?.(jobRun);
    // The last event follows the record of the job's end, so that a client that sees the event finds the job
    // finished.
    let last: RunEvent | undefined;
    const onEvent = (event: RunEvent): void => {
      if (LAST_EVENTS.has(event.type)) last = event;
      else this.#event(jobRun, event);
    };
    const { engine, space, store, observer } = this.#options;
    const { graph, previews, snapshots, saved, keepAliveMs, controller: { signal } } = jobRun;
    const run = () => engine.run({ graph, previews, snapshots, saved, keepAliveMs, signal, onEvent });
    let end: Pick<Job, "status"> & Partial<Job>;
    try {
      const artifacts = await (observer?.within?.(jobRun, run) ?? run());
      const results = Object.entries(artifacts).filter(([output]) => jobRun.isResult(output));
      await space.requireKept(results.map(([, made]) => made), !store.isUpToDate);
      end = { status: "completed", artifacts };
      this.#secondsOfARun += (jobRun.elapsedMs / 1000 - this.#secondsOfARun) / 8;
    } catch (fault) {
      const reply = ApiError.from(fault, { hidden: hiddenReason(fault, attemptsOf(jobRun)) });
      const error = reply.shown;
      end = { status: "failed", error };
      const { elapsedMs } = jobRun;
      last = signal.aborted ? { type: "cancelled", elapsedMs } : failedEvent(error, elapsedMs);
      if (reply.status >= 500 && !signal.aborted) {
        this.#options.observer?.fault?.(fault, jobRun);
      }
      const wait = signal.aborted ? undefined : await retryOf(jobRun, fault, this.#options);
      if (wait) {
        this.#options.observer?.event?.(last, jobRun);
        return this.#runAgain(jobRun, wait, elapsedMs);
      }
    }
    if (last) this.#options.observer?.event?.(last, jobRun);
    this.#running.delete(jobRun);
    if (this.#jobRuns.get(jobRun.key) === jobRun) this.#jobRuns.delete(jobRun.key);
    if (this.#closed) return;
    for (const job of [...jobRun.jobs.values()]) {
      this.#end(jobRun, { ...job, ...end }, last);
    }
    store.prune(this.#options.limits.keptJobs);
    this.#dispatch();
  }

  /** Returns a run to the front of the queue. If the disk is full, the run waits for space. */
  #runAgain(
    jobRun: JobRun,
    { reason, bytes }: Retry,
    elapsedMs: number,
  ): void {
    this.#running.delete(jobRun);
    if (this.#closed) return;
    jobRun.reset();
    this.#journal.requeue(jobRun);
    const message = `${reason}. The run starts again${bytes > 0 ? " when the disk has space" : ""}`;
    for (const id of jobRun.jobs.keys()) {
      this.#journal.event(id, { type: "warning", message, elapsedMs });
    }
    this.#queue.putBack(jobRun.client, jobRun);
    if (bytes > 0) this.#options.space.waitFor(bytes);
    this.#wakeWaiting();
    this.#dispatch();
  }

  /** The reason why no run can start now. */
  get #obstacle(): FileError | undefined {
    return this.#options.space.fault ?? this.#options.store.fault;
  }

  /** Wakes the followers of waiting jobs, so that requests notice an obstacle. */
  #wakeWaiting(): void {
    for (const { jobs } of this.#queue.inOrder()) jobs.forEach(({ id }) => this.#journal.wake(id));
  }

  #event(jobRun: JobRun, event: RunEvent): void {
    this.#options.observer?.event?.(event, jobRun);
    if (event.type === "step") {
      const { node, stage, step, steps } = event;
      jobRun.progress = { node, stage, step, steps };
    } else if (event.type === "plan") {
      jobRun.planned(event.stages.flatMap(({ nodes }) => nodes));
      if (this.#queue.size > 0) this.#dispatch();
    } else if (event.type === "checkpoint") {
      jobRun.snapshotIds.set(event.node, event.id);
    } else if (event.type === "stage:end" || event.type === "stage:cached") {
      jobRun.snapshotIds.delete(event.node);
      jobRun.nodeDone(event.node);
      if (this.#queue.size > 0) this.#dispatch();
    }
    if (event.type === "stage:end" || event.type === "checkpoint") this.#journal.gotOn(jobRun);
    if (event.type === "warning") this.#journal.warn(jobRun, event.message);
    for (const id of jobRun.jobs.keys()) this.#journal.event(id, event);
  }

  #end(jobRun: JobRun, job: Job, last: RunEvent | undefined): Job {
    const over = this.#journal.end(job, last);
    jobRun.jobs.delete(over.id);
    this.#byJob.delete(over.id);
    this.#clients.delete(over.id);
    this.#endedCount += 1;
    this.#journal.wakeFollowersOfAll();
    this.#options.observer?.ended?.(over);
    return over;
  }
}
