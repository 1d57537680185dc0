/**
 * Runs stages on the workers of a queue.
 *
 * @module
 */

import { context, propagation } from "@opentelemetry/api";
import { asJson } from "../artifacts/canonical_json.ts";
import { MemoryStore } from "../artifacts/store/memory_store.ts";
import type { RunStore } from "../artifacts/store/store.ts";
import { isAbortError } from "../errors/foreign_error.ts";
import { parseValue } from "../errors/parse_value.ts";
import { InputError, PixstageError } from "../errors/pixstage_error.ts";
import type {
  ExecuteOptions,
  Executor,
  IdentifiedArtifact,
  MadeByStage,
  Preparation,
  PreparedNode,
  PrepareRequest,
  StageResponse,
} from "../graph/executors/executor.ts";
import { nodeKey } from "../graph/node_key.ts";
import { parseQueueAddress, type QueueAddress } from "./address.ts";
import type { JobEventWriter } from "./backend.ts";
import { QueueBackend } from "./backend.ts";
import { type FollowOptions, JobChannel, type JobEnd, pause } from "./follow_job.ts";
import {
  CONTROL_QUEUE,
  preparationJobSchema,
  preparedSchema,
  type RunJobResult,
  runJobSchema,
  runResultSchema,
} from "./messages.ts";
import { modelsNamed, preparationQueue } from "./model_identity.ts";

/** Options of a {@linkcode QueueExecutor}. */
export interface QueueExecutorOptions {
  /**
   * Maximum time, in ms, that a job waits while no worker serves its queue.
   *
   * @default {30000}
   */
  readonly patienceMs?: number | undefined;
  /** Whether connections stay open between runs, e.g. in a server. */
  readonly keepsOpen?: boolean | undefined;
  /** Called with errors in the background. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Number of jobs in a queue. */
export interface QueueDepth {
  readonly queue: string;
  /** Number of jobs in each state. */
  readonly jobs: Readonly<Record<"waiting" | "active" | "delayed" | "failed", number>>;
  /** Waiting time, in seconds, of the oldest waiting job; 0 if none waits. */
  readonly oldestSeconds: number;
}

/** The connections of an executor. */
interface Connections {
  readonly backend: QueueBackend;
  readonly control: JobEventWriter;
  readonly channels: Map<string, Promise<JobChannel>>;
  /** When a queue whose name includes adapters was last announced to workers, in ms since 1970. */
  readonly announced: Map<string, number>;
}

/** Attempts at a job whose environment fails. The delay, in ms, doubles with each attempt. */
const ATTEMPTS = { attempts: 3, backoff: { type: "exponential", delay: 1000 } };
/** Starting workers learn from the newest preparations which queues exist, so these are kept. */
const KEPT_PREPARATIONS = { removeOnComplete: { count: 50 }, removeOnFail: { age: 3600, count: 50 } };
/**
 * Seconds for which the queue keeps finished runs. After that, a request for the same result finds it in the
 * store.
 */
const KEPT_RUNS = {
  removeOnComplete: { age: 3600, count: 1000 },
  removeOnFail: { age: 86_400, count: 1000 },
};
/** Minimum time, in ms, between two announcements of a queue whose name includes adapters. */
const ANNOUNCE_MS = 3000;
/** Time, in ms, after which unused connections are closed. */
const IDLE_MS = 1000;
/** Interval and time limit, in ms, for asking a worker to stop a job. */
const CANCEL_EVERY_MS = 150;
const CANCEL_MS = 3000;

/**
 * Runs stages on workers that take them from a queue. Jobs are JSON; artifacts go through the store of the
 * run, which the workers must share. Equal work is queued only once, even if several clients request it.
 */
export class QueueExecutor implements Executor {
  readonly name: string;
  readonly isRemote = true;
  readonly #address: QueueAddress;
  readonly #options: QueueExecutorOptions;
  #connections: Promise<Connections> | undefined;
  #users = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param address The address of the queue, e.g. `queue:redis://host`. Graphs use it as the executor's name.
   * @param options The patience, the connections and a callback for warnings.
   * @throws {InputError} if the text is not the address of a queue.
   */
  constructor(address: string, options: QueueExecutorOptions = {}) {
    this.#address = parseQueueAddress(address);
    this.name = address;
    this.#options = options;
  }

  /** Prepares a node on a worker. */
  async prepare(
    { node, inputs, residency, lowestPrecision }: PrepareRequest,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<PreparedNode> {
    const { stage, parameters } = node;
    const task = {
      node: node.id,
      stage: stage.name,
      parameters: asJson(parameters),
      outlines: asJson(inputs),
      residency,
      lowestPrecision,
    };
    const models = modelsNamed(parameters);
    const queue = await preparationQueue(stage, models);
    const told = [models.model, models.transformer].filter((name) => name !== undefined);
    const { extras = [] } = models;
    const work = `the stage "${stage.name}" in version ${stage.version}` +
      (told.length > 0 ? ` with the model "${told.join('" and "')}"` : "") +
      (extras.length > 0 ? ` and "${extras.join('" and "')}"` : "");
    const announce = async ({ control, announced }: Connections): Promise<void> => {
      if (extras.length === 0 || Date.now() - (announced.get(queue) ?? 0) < ANNOUNCE_MS) return;
      announced.set(queue, Date.now());
      const content = JSON.stringify(parseValue(preparationJobSchema, task));
      await control.publishEvent({ eventName: "wanted", queue, data: content });
    };
    const { preparation, runQueue } = await this.#use(async (connections) => {
      const channel = await openChannel(connections, queue);
      const data = parseValue(preparationJobSchema, asJson({ ...task, trace: traceHere() }));
      const ask = async (): Promise<string> => {
        const jobId = crypto.randomUUID();
        const { priority } = this.#address;
        await channel.queue.add(stage.name, data, { jobId, priority, ...ATTEMPTS, ...KEPT_PREPARATIONS });
        await announce(connections);
        return jobId;
      };
      const end = await this.#await(connections, channel, ask, { signal, work, announce });
      return parseValue(preparedSchema, end);
    });
    const prepared = { node, task, preparation, queue, runQueue, work, announce };
    return {
      ...preparation,
      execute: (artifacts, options) =>
        this.#use((connections) => this.#execute(prepared, artifacts, options, connections)),
    };
  }

  async #execute(
    { node, task, preparation, queue, runQueue, work, announce }: {
      readonly node: PrepareRequest["node"];
      readonly task: object;
      readonly preparation: Preparation;
      readonly queue: string;
      readonly runQueue: string;
      readonly work: string;
      readonly announce: (connections: Connections) => Promise<void>;
    },
    inputs: Readonly<Record<string, IdentifiedArtifact>>,
    { signal, store, report, snapshots, previews }: ExecuteOptions,
    connections: Connections,
  ): Promise<StageResponse> {
    signal.throwIfAborted();
    requireShared(store, node.stage.name);
    const given = [...Object.values(inputs), ...(snapshots?.saved ? [snapshots.saved] : [])];
    for (const { id, artifact } of given) if (!await store.has(id)) await store.put(artifact);
    const ids = Object.fromEntries(Object.entries(inputs).map(([port, { id }]) => [port, id]));
    const { key } = await nodeKey(node, preparation, ids);
    const channel = await openChannel(connections, runQueue);
    const options = {
      jobId: key,
      priority: this.#address.priority,
      ...ATTEMPTS,
      ...KEPT_RUNS,
    };
    const data = {
      ...task,
      inputs: ids,
      previews: previews ?? false,
      snapshots: snapshots?.policy,
      saved: snapshots?.saved?.id,
      trace: traceHere(),
    };
    const ask = async (): Promise<string> => {
      const { isOfUse, newest } = await knownJob(channel, key, store);
      if (!isOfUse) {
        const content = parseValue(runJobSchema, asJson({ ...data, newest }));
        await channel.queue.add(node.stage.name, content, options);
      }
      return key;
    };
    const warned = new Set<string>();
    let keeping = Promise.resolve();
    const result = parseValue(
      runResultSchema,
      await this.#await(connections, channel, ask, {
        signal,
        work,
        announce,
        onReport(told) {
          if (told.type === "snapshot") {
            keeping = keeping.then(() => snapshots?.keep({ id: told.id }));
            return;
          }
          if (told.type === "warning") warned.add(told.message);
          report(told);
        },
        onWait: async () => {
          // A repeated preparation announces the queue to workers that started later.
          const again = await openChannel(connections, queue);
          const content = parseValue(preparationJobSchema, task);
          const once = { jobId: `again-${runQueue}`, removeOnComplete: true, removeOnFail: true };
          await again.queue.add(node.stage.name, content, once);
        },
      }),
    );
    await keeping;
    for (const message of result.warnings) if (!warned.has(message)) report({ type: "warning", message });
    return { outputs: await madeOutputs(node, result, store), memory: result.memory };
  }

  /** Waits for a job. If another client removes or stops the job, it is requested again. */
  async #await(
    connections: Connections,
    channel: JobChannel,
    ask: () => Promise<string>,
    { signal, work, announce, onReport, onWait }: FollowOptions & {
      readonly work: string;
      readonly announce: (connections: Connections) => Promise<void>;
    },
  ): Promise<unknown> {
    for (;;) {
      const id = await ask();
      let unservedSince: number | undefined;
      let end: JobEnd;
      try {
        end = await channel.follow(id, {
          signal,
          onReport,
          onWait: async () => {
            await announce(connections);
            if (await channel.queue.getWorkersCount() > 0) {
              unservedSince = undefined;
              return;
            }
            this.#requirePatience(unservedSince ??= Date.now(), work);
            await onWait?.();
          },
        });
      } catch (error) {
        if (channel.followers(id) === 0) await cancel(connections, channel, id).catch(() => {});
        throw error;
      }
      if (end.type === "completed") return end.value;
      if (end.type === "failed" && !isAbortError(end.error)) throw end.error;
      await pause(CANCEL_EVERY_MS, signal);
      signal.throwIfAborted();
    }
  }

  #requirePatience(since: number, work: string): void {
    const { patienceMs = 30_000 } = this.#options;
    if (Date.now() - since < patienceMs) return;
    throw new PixstageError(
      "unreachable",
      `No worker at ${this.name} runs ${work}: start one with "deno task worker", the same version and the same models`,
    );
  }

  /** Returns the number of jobs in each queue that this executor has used. */
  async depths(): Promise<QueueDepth[]> {
    const channels = this.#connections ? [...(await this.#connections).channels] : [];
    return await Promise.all(channels.map(async ([queue, channel]) => {
      const { queue: jobs } = await channel;
      const counts = await jobs.getJobCounts("waiting", "prioritized", "active", "delayed", "failed");
      const [oldest] = await jobs.getJobs(["waiting", "prioritized"], 0, 0, true);
      const { waiting = 0, prioritized = 0, active = 0, delayed = 0, failed = 0 } = counts;
      return {
        queue,
        jobs: { waiting: waiting + prioritized, active, delayed, failed },
        oldestSeconds: oldest ? Math.max(Date.now() - oldest.timestamp, 0) / 1000 : 0,
      };
    }));
  }

  /**
   * Connects now instead of with the first job.
   *
   * @throws {PixstageError} if the queue cannot be reached.
   */
  async connect(): Promise<void> {
    await this.#use(() => Promise.resolve());
  }

  /** Closes unused connections, unless `keepsOpen` is set. */
  async runEnded(): Promise<void> {
    if (this.#users === 0 && !this.#options.keepsOpen) await this.close();
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const connections = this.#connections;
    this.#connections = undefined;
    const backend = (await connections?.catch(() => undefined))?.backend;
    await backend?.disconnectIfGone();
    await backend?.close();
  }

  async #use<T>(work: (connections: Connections) => Promise<T>): Promise<T> {
    clearTimeout(this.#idle);
    this.#users += 1;
    try {
      this.#connections ??= this.#connect();
      return await work(await this.#connections);
    } finally {
      this.#users -= 1;
      if (this.#users === 0 && !this.#options.keepsOpen) {
        this.#idle = setTimeout(() => this.close(), IDLE_MS);
      }
    }
  }

  async #connect(): Promise<Connections> {
    try {
      const backend = await QueueBackend.connect(this.#address, ({ message }) => {
        this.#options.onWarning?.(`The queue at ${this.name}: ${message}`);
      });
      return {
        backend,
        control: backend.eventWriter(CONTROL_QUEUE),
        channels: new Map(),
        announced: new Map(),
      };
    } catch (error) {
      // Let the next run connect again.
      this.#connections = undefined;
      throw error;
    }
  }
}

async function openChannel({ backend, channels }: Connections, name: string): Promise<JobChannel> {
  const known = channels.get(name) ?? new JobChannel(backend, name).ready();
  channels.set(name, known);
  return await known;
}

/** Returns the current OpenTelemetry context; `undefined` without tracing. */
function traceHere(): Record<string, string> | undefined {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return Object.keys(carrier).length === 0 ? undefined : carrier;
}

function requireShared(store: RunStore, stage: string): void {
  if (!(store instanceof MemoryStore)) return;
  throw new InputError(
    "invalid_value",
    `Cannot run "${stage}" on a queue without a store: give one that the workers share`,
    { details: { field: "store" } },
  );
}

/**
 * Looks for an existing job with a key. Removes the job if it is useless: it failed, or the store no longer
 * has its results.
 *
 * @returns Whether the job is waiting or running or its results exist; otherwise the newest snapshot that a
 * worker stored for it, if any.
 */
async function knownJob(
  { queue }: JobChannel,
  key: string,
  store: RunStore,
): Promise<{ readonly isOfUse: boolean; readonly newest?: string | undefined }> {
  const job = await queue.getJob(key);
  if (!job) return { isOfUse: false };
  const state = await job.getState();
  if (state !== "completed" && state !== "failed" && state !== "unknown") return { isOfUse: true };
  const result = state === "completed" ? runResultSchema.safeParse(job.returnvalue).data : undefined;
  const outputs = Object.values(result?.outputs ?? {});
  if (result && (await Promise.all(outputs.map((id) => store.has(id)))).every(Boolean)) {
    return { isOfUse: true };
  }
  await job.remove().catch(() => {});
  return { isOfUse: false, newest: runJobSchema.safeParse(job.data).data?.newest };
}

/** Cancels a job: removes it if it waits, or asks its worker to stop it. */
async function cancel({ control }: Connections, { queue }: JobChannel, id: string): Promise<void> {
  const began = Date.now();
  let asked: number | undefined;
  while (Date.now() - began < CANCEL_MS) {
    const job = await queue.getJob(id);
    // Another client may have requested the same work again.
    if (!job || (asked ??= job.timestamp) !== job.timestamp) return;
    const state = await job.getState();
    if (state === "completed" || state === "failed") return;
    if (state !== "active" && await job.remove().then(() => true, () => false)) return;
    await control.publishEvent({ eventName: "cancel", queue: queue.name, job: id });
    await pause(CANCEL_EVERY_MS, new AbortController().signal);
  }
}

/** Returns the outputs. Throws if the store of the run lacks one of them. */
async function madeOutputs(
  { stage }: PrepareRequest["node"],
  { outputs }: RunJobResult,
  store: RunStore,
): Promise<Record<string, MadeByStage>> {
  const made: Record<string, MadeByStage> = {};
  for (const port of Object.keys(stage.outputs)) {
    const id = outputs[port];
    if (id === undefined || !await store.has(id)) {
      throw new PixstageError(
        "lost",
        `Cannot use output "${port}" of "${stage.name}" because the store of this run does not have it: start workers with ` +
          "the --store of this run",
      );
    }
    made[port] = { id };
  }
  return made;
}
