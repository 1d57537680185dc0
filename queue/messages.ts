// This module is browser compatible.

/**
 * The messages in a queue: JSON that names artifacts by their ids and never contains tensors.
 *
 * @module
 */

import { z } from "zod";
import type { JsonObject } from "../artifacts/artifact.ts";
import { outlineSchema } from "../artifacts/outline.ts";
import { sha256Schema } from "../artifacts/store/stage_record.ts";
import { stageMemorySchema } from "../graph/events.ts";
import { preparationSchema } from "../graph/executors/executor.ts";
import { snapshotPolicySchema } from "../graph/snapshots.ts";
import { precisionSchema } from "../models/precision.ts";
import { residencySchema } from "../models/segments.ts";
import { stageReportSchema } from "../stages/stage_report.ts";

/** Version of these messages. It is part of the names of queues, so different versions never meet. */
export const MESSAGES_VERSION = 1;

const object = z.custom<JsonObject>(
  (value) => value !== null && typeof value === "object" && !Array.isArray(value),
  "It must be an object",
);

/** The job of preparing a node. */
export const preparationJobSchema = z.strictObject({
  /** Id of the node, for messages. */
  node: z.string(),
  stage: z.string(),
  parameters: object,
  /** Outlines of the artifacts at the connected input ports. */
  outlines: z.record(z.string(), outlineSchema),
  residency: residencySchema.optional(),
  lowestPrecision: precisionSchema.optional(),
  /** Context of an OpenTelemetry trace, which becomes the parent of the worker's spans. */
  trace: z.record(z.string(), z.string()).optional(),
});

/** The result of a preparation. */
export const preparedSchema = z.strictObject({
  preparation: preparationSchema,
  /** The queue of the workers that run the node with the same weights, code and numerics. */
  runQueue: z.string(),
});

/** The job of running a node. The id of the job is the key of the node. */
export const runJobSchema = preparationJobSchema.extend({
  /** The ids of the artifacts at the input ports. */
  inputs: z.record(z.string(), sha256Schema),
  previews: z.boolean(),
  /** When snapshots are stored; absent if none are. */
  snapshots: snapshotPolicySchema.optional(),
  /** The snapshot to start from. */
  saved: sha256Schema.optional(),
  /** The newest snapshot that a worker stored for this job. */
  newest: sha256Schema.optional(),
  /** How often the job had lost its worker when that snapshot was stored. */
  lostBefore: z.int().nonnegative().optional(),
});

/** The result of a run. */
export const runResultSchema = z.strictObject({
  /** The ids of the artifacts at the output ports. */
  outputs: z.record(z.string(), sha256Schema),
  memory: stageMemorySchema.optional(),
  /** The warnings of the stage. */
  warnings: z.array(z.string()),
});

/** The progress of a running job: the reports of the stage, and the ids of stored snapshots. */
export const jobProgressSchema = z.strictObject({
  reports: z.array(z.union([
    stageReportSchema,
    z.strictObject({ type: z.literal("snapshot"), id: sha256Schema }),
  ])),
});

/** The queue whose events all workers listen to. */
export const CONTROL_QUEUE: string = `control.${MESSAGES_VERSION}`;

/** An event that stops a job, because no client waits for it any more. */
export const cancelSchema = z.object({ queue: z.string(), job: z.string() });

/**
 * An event of a worker that has prepared a node, after which `runQueue` can receive jobs. Other workers then
 * check whether they can take these jobs.
 */
export const preparedElsewhereSchema = z.object({
  /** The queue of the preparation. */
  queue: z.string(),
  runQueue: z.string(),
  /** Data of the preparation, as JSON: events can contain only texts. */
  data: z.string(),
});

/**
 * An event about a node that waits to be prepared in a queue whose name includes adapters. There is one such
 * queue for each combination of adapters, so workers do not serve them in advance. Each worker checks for
 * itself whether it has the adapters.
 */
export const wantedSchema = z.object({
  /** The queue of the preparation. */
  queue: z.string(),
  /** Data of the preparation, as JSON. */
  data: z.string(),
});

/** The job of preparing a node. */
export type PreparationJob = z.infer<typeof preparationJobSchema>;

/** The job of running a node. */
export type RunJob = z.infer<typeof runJobSchema>;

/** The result of a run. */
export type RunJobResult = z.infer<typeof runResultSchema>;

/** A report of a running job. */
export type JobReport = z.infer<typeof jobProgressSchema>["reports"][number];
