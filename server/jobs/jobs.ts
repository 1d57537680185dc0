/**
 * Jobs that wait and run, and the clients that follow them.
 *
 * @module
 */

import { FileError } from "../../artifacts/file_error.ts";
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

/** Takes orders, runs them in turn, and keeps what became of them. */
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

  /** @param options What jobs work with. Jobs that had not ended when the last server did go on. */
  constructor(options: JobsOptions) {
    this.#options = options;
    this.#journal = new JobJournal(options.store);
    this.#places = new QueuePlaces(options.limits);
    this.#takeUp();
    queueMicrotask(() => this.#dispatch());
    // The next check repeats one that fails.
    this.#timer = setInterval(() => this.#retry().catch(() => {}), RETRY_MS);
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
   * Takes a place in the queue, before an order is checked.
   *
   * @param client Who asks.
   * @returns The place: for {@linkcode Jobs.submit}, then to be disposed of.
   * @throws {ApiError} 429 if too many wait, with the seconds after which to try again.
   * @throws {FileError} if jobs wait for free space.
   */
  reserve(client: QueueClient): QueuePlace {
    this.#options.store.catchUp();
    if (this.#obstacle) throw this.#obstacle;
    const waiting = [...this.#byJob].flatMap(([id, { isRunning }]) =>
      isRunning ? [] : [this.#clients.get(id)!]
    );
    const seconds = Math.ceil(this.#secondsOfARun * this.#queue.size / this.#options.engine.lanes);
    return this.#places.take(client, waiting, Math.min(Math.max(seconds, 1), 300));
  }

  /**
   * Takes an order.
   *
   * @param order The order.
   * @param place The place in the queue that was reserved for it.
   * @throws {FileError} if it cannot be written, or if jobs wait for free space.
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

  /** A job, or undefined. */
  get(id: string): Job | undefined {
    return this.#byJob.get(id)?.jobs.get(id) ?? this.#options.store.get(id);
  }

  /** Jobs, the newest first. */
  list(query: JobQuery): JobPage {
    return this.#options.store.list(query);
  }

  /** Jobs that run, then those that wait, in the order of the queue. */
  unfinished(): Job[] {
    return [...this.#running, ...this.#queue.inOrder()].flatMap(({ jobs }) => [...jobs.values()]);
  }

  /** Jobs that have ended since the server started. */
  get endedCount(): number {
    return this.#endedCount;
  }

  /** Yields at once, and again after changes of any job. */
  async *changes(signal: AbortSignal): AsyncGenerator<void> {
    signal.addEventListener("abort", () => this.#journal.wakeFollowersOfAll(), { once: true });
    while (!signal.aborted && !this.#closed) {
      const next = this.#journal.nextOfAll();
      yield;
      await next;
    }
  }

  /**
   * Removes a job that has ended from the list. The artifacts that it made stay in the store.
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
   * Stars a job, so that no clean-up removes it or what it made, or takes its star away.
   *
   * @throws {ApiError} 400 if too many are starred.
   * @throws {FileError} if that cannot be written.
   */
  star(job: Job, starred: boolean): Job {
    const { store, limits: { maxStarred }, observer } = this.#options;
    if (job.starred === starred) return job;
    if (starred && store.starredCount() >= maxStarred) {
      const message = `starred: ${maxStarred} jobs are starred, the most: take the star of another away`;
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

  /** Ids of the artifacts that starred jobs made. */
  starredArtifacts(): Set<string> {
    const { store } = this.#options;
    return new Set(store.isOpen ? store.starredArtifacts() : []);
  }

  /**
   * Ids of the artifacts that unfinished jobs need, their inputs and the states that they go on from, and of
   * those that starred jobs made.
   */
  artifactsInUse(): Set<string> {
    return new Set([...this.#byJob.values().flatMap(({ needed }) => needed), ...this.starredArtifacts()]);
  }

  /** How many are served before a job that waits; `null` if it does not wait. */
  position(id: string): number | null {
    const jobRun = this.#byJob.get(id);
    return jobRun && !jobRun.isRunning ? this.#queue.inOrder().indexOf(jobRun) : null;
  }

  /** What a job that runs has come to. */
  progress(id: string): JobProgress | null {
    return this.#byJob.get(id)?.progress ?? null;
  }

  /** Cancels a job: one that waits never runs, one that runs stops at the next step unless another job shares the run. */
  cancel(id: string): Job | undefined {
    return this.#withdraw(id, { status: "cancelled" }) ?? this.get(id);
  }

  /** Ends a job before its run ends. The run stops unless another job shares it. */
  #withdraw(id: string, end: Pick<Job, "status"> & Partial<Job>): Job | undefined {
    const jobRun = this.#byJob.get(id);
    const job = jobRun?.jobs.get(id);
    if (!jobRun || !job) return undefined;
    const ended = { ...job, ...end };
    const over = this.#end(jobRun, ended, endEvent(ended));
    if (jobRun.jobs.size === 0) {
      this.#jobRuns.delete(jobRun.key);
      this.#queue.remove(jobRun);
      jobRun.controller.abort();
    }
    return over;
  }

  /**
   * Events of a job after a number, as they come, to the last.
   *
   * @param id The job.
   * @param after The number of the last event that is known.
   * @param signal Ends the stream.
   * @param forRequest Whether a request waits for the job's end: it is then cancelled where it would have to
   * wait for free space, as {@linkcode Jobs.ended} does.
   * @throws {FileError} if such a job has to wait for free space.
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
      // Nothing can have changed since: all that changes jobs runs in this thread too.
      await this.#journal.next(id);
    }
  }

  /**
   * Waits for the end of a job on behalf of a request. A job that has to wait for free space is cancelled, so that the
   * request gets an answer.
   *
   * @throws {FileError} if the job has to wait for free space.
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

  /** Cancels a job that would have to wait for free space, so that the request behind it gets an answer. */
  #requireSpace({ id, status }: Job): void {
    const obstacle = this.#obstacle;
    if (!obstacle || status !== "queued") return;
    this.cancel(id);
    throw obstacle;
  }

  /** Ends all runs. Their jobs go on where the same store is opened again. */
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

  /** Puts a job into the run that does the same already, or into one of its own. */
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

  /** Resumes the unfinished jobs of the last server, once the job store is open. */
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
      const message = `The server ended ${job.attempts} times while it ran this job: it is not run again`;
      const { shown: error } = new ApiError("too_many_attempts", message);
      const failed: Job = { ...job, status: "failed", error };
      observer?.ended?.(this.#journal.end(failed, endEvent(failed)));
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
        const message = `The job had not ended ${seconds} seconds after it was ordered, its deadline`;
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
    while (!this.#closed && !this.#obstacle && this.#running.size < engine.lanes) {
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
    // The wall clock may be set while a run goes on.
    const started = performance.now();
    const elapsed = (): number => performance.now() - started;
    jobRun.isRunning = true;
    this.#options.observer?.began?.(jobRun);
    // The last event follows the record of the job's end, so that a client that sees it finds the job over.
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
      this.#secondsOfARun += (elapsed() / 1000 - this.#secondsOfARun) / 8;
    } catch (fault) {
      const reply = ApiError.from(fault, { hidden: hiddenReason(fault, attemptsOf(jobRun)) });
      const error = reply.shown;
      end = { status: "failed", error };
      const elapsedMs = elapsed();
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

  /** Returns a run to the front of the queue: where the disk is full, until it has space. */
  #runAgain(
    jobRun: JobRun,
    { reason, bytes }: Retry,
    elapsedMs: number,
  ): void {
    this.#running.delete(jobRun);
    if (this.#closed) return;
    jobRun.reset();
    this.#journal.requeue(jobRun);
    const message = `${reason}. It starts again${bytes > 0 ? " once the disk has space" : ""}`;
    for (const id of jobRun.jobs.keys()) {
      this.#journal.event(id, { type: "warning", message, elapsedMs });
    }
    this.#queue.putBack(jobRun.client, jobRun);
    if (bytes > 0) this.#options.space.waitFor(bytes);
    this.#wakeWaiting();
    this.#dispatch();
  }

  /** The reason why no run can start at present. */
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
