/**
 * Processes a job of a queue: reads its inputs, runs its stage, and stores its snapshots and outputs.
 *
 * @module
 */

import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { StageRecord } from "../artifacts/store/stage_record.ts";
import type { RunStore } from "../artifacts/store/store.ts";
import { parseValue } from "../errors/parse_value.ts";
import { PixstageError } from "../errors/pixstage_error.ts";
import type {
  IdentifiedArtifact,
  MadeByStage,
  PreparedNode,
  SnapshotRequest,
} from "../graph/executors/executor.ts";
import { nodeKey } from "../graph/node_key.ts";
import type { Stage } from "../stages/stage.ts";
import type { TakenJob } from "./backend.ts";
import { GivenBack } from "./job_intake.ts";
import { type JobReport, type RunJob, type RunJobResult, runJobSchema } from "./messages.ts";

/** The resources with which {@linkcode doJob} processes a job. */
export interface JobTools {
  /** The store of the job's artifacts. */
  readonly store: RunStore;
  /** Returns the stage of a job. */
  readonly stageOf: (data: RunJob) => Stage;
  /** Prepares the node of a job on this machine. */
  readonly prepare: (data: RunJob, signal: AbortSignal) => Promise<PreparedNode>;
}

/** Number of workers lost in succession, without progress, after which a job fails. */
const MOST_LOSSES = 3;
/** Time, in ms, within which the client of a job normally records the provenance of its result. */
const KEEP_AFTER_MS = 500;

const tracer = trace.getTracer("pixstage");

/**
 * Processes a job.
 *
 * @param job The job.
 * @param tools The store, the stages and the preparation.
 * @param signal Stops the job.
 * @returns The ids of the outputs.
 * @throws {GivenBack} if this machine would produce a different result.
 */
export async function doJob(job: TakenJob, tools: JobTools, signal: AbortSignal): Promise<RunJobResult> {
  const data = parseValue(runJobSchema, job.data);
  const parent = propagation.extract(context.active(), data.trace ?? {});
  const span = tracer.startSpan(`run ${data.stage}`, {
    kind: SpanKind.CONSUMER,
    attributes: {
      "pixstage.node": data.node,
      "pixstage.stage": data.stage,
      "pixstage.job.id": job.id ?? "",
      "pixstage.queue": job.queueName,
      "pixstage.queue_ms": Math.max(Date.now() - job.timestamp, 0),
    },
  }, parent);
  try {
    return await context.with(trace.setSpan(parent, span), () => run(job, data, tools, signal));
  } catch (error) {
    if (!(error instanceof GivenBack)) span.setStatus({ code: SpanStatusCode.ERROR, message: String(error) });
    throw error;
  } finally {
    span.end();
  }
}

async function run(
  job: TakenJob,
  data: RunJob,
  { store, stageOf, prepare }: JobTools,
  signal: AbortSignal,
): Promise<RunJobResult> {
  refusePoison(job, data);
  const stage = stageOf(data);

  // 1. Return the result if the store already has it.
  const key = job.id ?? "";
  const known = await store.result(key);
  if (known && await hasAll(store, stage, known.outputs)) {
    return { outputs: { ...known.outputs }, warnings: [...known.warnings ?? []] };
  }

  // 2. Check that this machine would produce the requested result.
  const prepared = await prepare(data, signal);
  const named = await nodeKey(
    { stage, parameters: stage.parameters.parse(data.parameters) },
    prepared,
    data.inputs,
  );
  if (named.key !== key) throw new GivenBack("This worker has other weights under the same name");

  // 3. Run the stage, from the newest snapshot if there is one.
  const inputs: Record<string, IdentifiedArtifact> = {};
  for (const [port, id] of Object.entries(data.inputs)) inputs[port] = await read(store, id, data.stage);
  const reports = new ReportSender(job);
  const warnings: string[] = [];
  const response = await prepared.execute(inputs, {
    signal,
    store,
    previews: data.previews,
    report: (event) => {
      if (event.type === "warning") warnings.push(event.message);
      reports.send(event);
    },
    snapshots: await snapshotsOf(job, data, store, reports),
  });

  // 4. Store the outputs and their provenance.
  const outputs: Record<string, string> = {};
  for (const [port, made] of Object.entries(response.outputs)) outputs[port] = await keep(store, made);
  const record = { ...named.record, outputs, ...(warnings.length > 0 ? { warnings } : {}) };
  keepLater(store, key, record);
  await reports.sent();
  const { memory } = response;
  return { outputs, warnings, ...(memory ? { memory } : {}) };
}

/**
 * Records the provenance of a result. Normally its client does that; the worker does it later, in case the
 * client has gone.
 */
function keepLater(store: RunStore, key: string, record: StageRecord): void {
  setTimeout(async () => {
    try {
      if (!await store.result(key)) await store.keepResult(key, record);
    } catch {
      // The queue still knows the result for a while, and afterwards it can be computed again.
    }
  }, KEEP_AFTER_MS);
}

/** Refuses a job that has repeatedly killed its worker, because it would kill this one too. */
function refusePoison({ stalledCounter }: TakenJob, { stage, lostBefore = 0 }: RunJob): void {
  const losses = stalledCounter - lostBefore;
  if (losses < MOST_LOSSES) return;
  throw new PixstageError(
    "too_many_attempts",
    `Cannot run "${stage}" because ${losses} workers died at the same point: look for the reason in a worker's log or ` +
      "in the log of its machine",
  );
}

async function hasAll(
  store: RunStore,
  stage: Stage,
  outputs: Readonly<Record<string, string>>,
): Promise<boolean> {
  for (const port of Object.keys(stage.outputs)) {
    const id = outputs[port];
    if (id === undefined || !await store.has(id)) return false;
  }
  return true;
}

async function read(store: RunStore, id: string, stage: string): Promise<IdentifiedArtifact> {
  const artifact = await store.get(id);
  if (artifact) return { id, artifact };
  throw new PixstageError(
    "lost",
    `Cannot run "${stage}" because the worker's store does not have its input ${id}: start the worker with the --store of ` +
      "the runs",
  );
}

async function keep(store: RunStore, made: MadeByStage): Promise<string> {
  return "id" in made ? made.id : await store.put(made.artifact);
}

/** Stores snapshots. The job records the id of the newest one, so another worker can continue from it. */
async function snapshotsOf(
  job: TakenJob,
  data: RunJob,
  store: RunStore,
  reports: ReportSender,
): Promise<SnapshotRequest | undefined> {
  if (!data.snapshots) return undefined;
  const newest = data.newest === undefined ? undefined : await store.get(data.newest);
  const given = newest || data.saved === undefined ? undefined : await store.get(data.saved);
  const id = newest ? data.newest : data.saved;
  const artifact = newest ?? given;
  let before = data.newest;
  return {
    policy: data.snapshots,
    saved: artifact && id !== undefined ? { id, artifact } : undefined,
    keep: async (state) => {
      const kept = await keep(store, state);
      await job.updateData({ ...data, newest: kept, lostBefore: job.stalledCounter });
      reports.send({ type: "snapshot", id: kept });
      const old = before;
      before = kept;
      if (old !== undefined && old !== kept) await store.delete(old);
    },
  };
}

/** Sends the reports of a job in order. Reports that arrive during a transmission are sent together. */
class ReportSender {
  #job: TakenJob;
  #waiting: JobReport[] = [];
  #sending: Promise<void> | undefined;

  constructor(job: TakenJob) {
    this.#job = job;
  }

  send(report: JobReport): void {
    this.#waiting.push(report);
    this.#sending ??= this.#sendAll();
  }

  /** Waits until all reports have been sent. */
  async sent(): Promise<void> {
    await this.#sending;
  }

  async #sendAll(): Promise<void> {
    // A report that cannot be sent must not stop the job.
    while (this.#waiting.length > 0) {
      await this.#job.updateProgress({ reports: this.#waiting.splice(0) }).catch(() => {});
    }
    this.#sending = undefined;
  }
}
