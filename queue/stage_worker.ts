/**
 * A worker prepares and runs the stages of a queue on this machine.
 *
 * @module
 */

import type { QueueEventsListener } from "bullmq";
import { z } from "zod";
import type { RunStore } from "../artifacts/store/store.ts";
import { parseValue } from "../errors/parse_value.ts";
import { toPixstageError } from "../errors/foreign_error.ts";
import type { Executor, PreparedNode } from "../graph/executors/executor.ts";
import type { Residency } from "../models/segments.ts";
import type { StageRegistry } from "../stages/registry.ts";
import type { Stage } from "../stages/stage.ts";
import { parseQueueAddress } from "./address.ts";
import { type JobEvents, type JobEventWriter, QueueBackend, type TakenJob } from "./backend.ts";
import { JobIntake } from "./job_intake.ts";
import {
  cancelSchema,
  CONTROL_QUEUE,
  type PreparationJob,
  preparationJobSchema,
  preparedElsewhereSchema,
  preparedSchema,
  wantedSchema,
} from "./messages.ts";
import { modelsNamed, type NamedModels, preparationQueue, runQueueOf } from "./model_identity.ts";
import { doJob } from "./taken_job.ts";

/** Options of a {@linkcode StageWorker}. */
export interface StageWorkerOptions {
  /** Address of the queue. */
  readonly queue: string;
  /** The stages whose code the worker has. */
  readonly registry: StageRegistry;
  /** Names of the stages that the worker runs. */
  readonly stages: readonly string[];
  /** Names of the models that the worker has. */
  readonly models: readonly string[];
  /** Names of the LoRAs that the worker has. */
  readonly adapters?: readonly string[] | undefined;
  /** The store that the worker shares with the clients of the queue. */
  readonly store: RunStore;
  /** Runs the stages. It must not run them in this thread. */
  readonly executor: Executor;
  /** Residency of weights for jobs that do not specify one. */
  readonly residency?: Residency | undefined;
  /**
   * Maximum number of concurrent jobs.
   *
   * @default {1}
   */
  readonly concurrency?: number | undefined;
  /**
   * Time, in ms, after which the job of a silent worker goes to another worker.
   *
   * @default {10000}
   */
  readonly leaseMs?: number | undefined;
  /** Called for each event that should be logged. */
  readonly log?: ((event: string, facts: Readonly<Record<string, unknown>>) => void) | undefined;
}

/** Maximum number of prepared nodes that wait for their run. */
const PREPARED_NODES = 64;
/** Time, in ms, without jobs after which the queues count as empty. */
const QUIET_MS = 2000;
const LOOK_MS = 250;

/** Processes the jobs of a queue until it is closed. */
export class StageWorker implements AsyncDisposable {
  readonly #options: StageWorkerOptions;
  readonly #backend: QueueBackend;
  readonly #preparations: JobIntake;
  readonly #runs: JobIntake;
  readonly #control: { readonly events: JobEvents; readonly writer: JobEventWriter };
  #prepared = new Map<string, PreparedNode>();
  #refused = new Set<string>();
  /** Queues for which this worker is checking whether it can take their jobs. */
  #considered = new Set<string>();

  private constructor(options: StageWorkerOptions, backend: QueueBackend) {
    this.#options = options;
    this.#backend = backend;
    const { concurrency = 1, leaseMs = 10_000 } = options;
    this.#preparations = new JobIntake({
      backend,
      concurrency: 1,
      leaseMs,
      work: (job, signal) => this.#prepareJob(job, signal),
    });
    this.#runs = new JobIntake({
      backend,
      concurrency,
      leaseMs,
      work: (job, signal) => this.#runJob(job, signal),
    });
    this.#control = { events: backend.events(CONTROL_QUEUE), writer: backend.eventWriter(CONTROL_QUEUE) };
  }

  /**
   * Starts a worker, which takes jobs immediately.
   *
   * @param options The queue, the stages and models, the store and the executor.
   * @throws {PixstageError} if the queue cannot be reached.
   */
  static async open(options: StageWorkerOptions): Promise<StageWorker> {
    const backend = await QueueBackend.connect(
      parseQueueAddress(options.queue),
      ({ message }) => options.log?.("queue_error", { error: message }),
    );
    const worker = new StageWorker(options, backend);
    await worker.#listen();
    return worker;
  }

  /** Waits until no job is left in the queues that this worker serves, or the signal is aborted. */
  async drained(signal: AbortSignal): Promise<void> {
    const queues = new Map<string, ReturnType<QueueBackend["queue"]>>();
    const left = async (): Promise<boolean> => {
      if (this.#runs.running + this.#preparations.running > 0) return true;
      for (const name of [...this.#preparations.queues, ...this.#runs.queues]) {
        const queue = queues.get(name) ?? this.#backend.queue(name);
        queues.set(name, queue);
        if (await queue.getJobCountByTypes("waiting", "prioritized", "active", "delayed") > 0) return true;
      }
      return false;
    };
    for (let quietSince = Date.now(); !signal.aborted && Date.now() - quietSince < QUIET_MS;) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      if (await left()) quietSince = Date.now();
    }
  }

  /** Stops taking jobs, and returns the running ones to their queues. */
  async close(): Promise<void> {
    await this.#backend.disconnectIfGone();
    await Promise.all([this.#preparations.close(), this.#runs.close()]);
    await this.#backend.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #listen(): Promise<void> {
    const { events } = this.#control;
    events.on<ControlEvents>("cancel", (event: object) => {
      const told = cancelSchema.safeParse(event).data;
      if (told) this.#runs.cancel(told.queue, told.job);
    });
    events.on<ControlEvents>("prepared", (event: object) => {
      const told = preparedElsewhereSchema.safeParse(event).data;
      if (told && this.#preparations.queues.includes(told.queue)) {
        void this.#learn(told.runQueue, JSON.parse(told.data));
      }
    });
    events.on<ControlEvents>("wanted", (event: object) => {
      const told = wantedSchema.safeParse(event).data;
      if (told) void this.#consider(told.queue, JSON.parse(told.data));
    });
    await events.waitUntilReady();
    const queues = await this.#preparationQueues();
    // Earlier preparations name the queues in which jobs may wait.
    for (const name of queues) {
      const queue = this.#backend.queue(name);
      for (const job of await queue.getJobs(["completed"], 0, PREPARED_NODES - 1)) {
        const { runQueue } = preparedSchema.safeParse(job.returnvalue).data ?? {};
        if (runQueue !== undefined) await this.#learn(runQueue, job.data);
      }
      await this.#backend.end(queue);
    }
    await Promise.all(queues.map((name) => this.#preparations.listen(name)));
  }

  /** Returns the preparation queues of each stage: one per model, and one per model and transformer. */
  async #preparationQueues(): Promise<string[]> {
    const { registry, stages, models } = this.#options;
    return await Promise.all(
      stages.flatMap((name) => {
        const stage = registry.get(name);
        return namings(stage, models).map((named) => preparationQueue(stage, named));
      }),
    );
  }

  /** Serves a preparation queue whose name includes adapters, if this machine has the adapters. */
  async #consider(queue: string, data: unknown): Promise<void> {
    if (this.#preparations.queues.includes(queue) || this.#considered.has(queue)) return;
    const content = preparationJobSchema.safeParse(data).data;
    if (!content || !this.#options.stages.includes(content.stage)) return;
    const { model, transformer, extras = [] } = modelsNamed(content.parameters);
    const { models, adapters = [] } = this.#options;
    const isHere = [model, transformer].every((name) => name === undefined || models.includes(name)) &&
      extras.every((name) => models.includes(name) || adapters.includes(name));
    const named = { model, transformer, extras };
    if (!isHere || await preparationQueue(this.#stage(content), named) !== queue) return;
    this.#considered.add(queue);
    try {
      await this.#preparations.listen(queue, true);
      const prepared = await this.#prepare(content, new AbortController().signal);
      await this.#runs.listen(await runQueueOf(this.#stage(content), prepared), true);
    } catch {
      // If the preparation is refused, the client gets that error from its own job.
    } finally {
      this.#considered.delete(queue);
    }
  }

  /** Serves a run queue if preparing the same node on this machine leads to the same queue. */
  async #learn(runQueue: string, data: unknown): Promise<void> {
    if (this.#runs.queues.includes(runQueue) || this.#refused.has(runQueue)) return;
    const content = preparationJobSchema.safeParse(data).data;
    if (!content) return;
    try {
      const prepared = await this.#prepare(content, new AbortController().signal);
      if (await runQueueOf(this.#stage(content), prepared) === runQueue) {
        await this.#runs.listen(runQueue, true);
      } else this.#refused.add(runQueue);
    } catch {
      // A node that cannot be prepared here cannot run here.
      this.#refused.add(runQueue);
    }
  }

  async #prepareJob(job: TakenJob, signal: AbortSignal): Promise<unknown> {
    const data = parseValue(preparationJobSchema, job.data);
    try {
      const prepared = await this.#prepare(data, signal);
      const runQueue = await runQueueOf(this.#stage(data), prepared);
      await this.#runs.listen(runQueue, true);
      // Announce the run queue to other workers. The client need not wait for that.
      this.#control.writer.publishEvent({
        eventName: "prepared",
        queue: job.queueName,
        runQueue,
        data: JSON.stringify(data),
      }).catch(() => {});
      const { execute: _execute, ...preparation } = prepared;
      return JSON.parse(JSON.stringify({ preparation, runQueue }));
    } catch (error) {
      this.#log("refused", { stage: data.stage, node: data.node, error: toPixstageError(error).message });
      throw error;
    }
  }

  async #runJob(job: TakenJob, signal: AbortSignal): Promise<unknown> {
    const began = performance.now();
    const facts = { stage: job.name, job: job.id, attempt: job.attemptsStarted };
    this.#log("taken", facts);
    try {
      const result = await doJob(job, {
        store: this.#options.store,
        stageOf: (data) => this.#stage(data),
        prepare: (data, stop) => this.#prepareOnce(data, stop),
      }, signal);
      this.#log("done", { ...facts, ms: Math.round(performance.now() - began) });
      return result;
    } catch (error) {
      this.#log(signal.aborted ? "stopped" : "failed", { ...facts, error: toPixstageError(error).message });
      throw error;
    }
  }

  #stage({ stage }: Pick<PreparationJob, "stage">): Stage {
    return this.#options.registry.get(stage);
  }

  async #prepare(data: PreparationJob, signal: AbortSignal): Promise<PreparedNode> {
    const { executor, residency } = this.#options;
    const stage = this.#stage(data);
    const prepared = await executor.prepare({
      node: { id: data.node, stage, parameters: parseValue(stage.parameters, data.parameters) },
      inputs: data.outlines,
      residency: data.residency ?? residency,
      lowestPrecision: data.lowestPrecision,
    }, { signal });
    const [oldest] = this.#prepared.keys();
    if (this.#prepared.size >= PREPARED_NODES) this.#prepared.delete(oldest!);
    this.#prepared.set(nameOf(data), prepared);
    return prepared;
  }

  /** Returns the stored preparation of a node and removes it, or prepares the node. */
  async #prepareOnce(data: PreparationJob, signal: AbortSignal): Promise<PreparedNode> {
    const known = this.#prepared.get(nameOf(data));
    this.#prepared.delete(nameOf(data));
    return known ?? await this.#prepare(data, signal);
  }

  #log(event: string, facts: Readonly<Record<string, unknown>>): void {
    this.#options.log?.(event, facts);
  }
}

/** Returns every combination of this machine's models that a node of a stage can name. */
function namings({ parameters }: Stage, models: readonly string[]): NamedModels[] {
  const { properties = {} } = z.toJSONSchema(parameters, { io: "input", unrepresentable: "any" });
  if (!("model" in properties)) return [{}];
  if (!("transformer" in properties)) return models.map((model) => ({ model }));
  return models.flatMap((model) => [{ model }, ...models.map((transformer) => ({ model, transformer }))]);
}

/** Listeners for the events of the control queue. */
interface ControlEvents extends QueueEventsListener {
  cancel: (event: object) => void;
  prepared: (event: object) => void;
  wanted: (event: object) => void;
}

/** Returns the key of a prepared node. */
function nameOf({ node, stage, parameters, outlines, residency, lowestPrecision }: PreparationJob): string {
  return JSON.stringify({ node, stage, parameters, outlines, residency, lowestPrecision });
}
