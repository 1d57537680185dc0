// This module is browser compatible.

/**
 * What travels through a queue: JSON that names artifacts by their ids, never tensors.
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

/** The version of these messages. It is part of the queues' names, so that versions never meet. */
export const MESSAGES_VERSION = 1;

const object = z.custom<JsonObject>(
  (value) => value !== null && typeof value === "object" && !Array.isArray(value),
  "It must be an object",
);

/** A node that a worker prepares. */
export const preparationJobSchema = z.strictObject({
  /** The node's id, for messages. */
  node: z.string(),
  stage: z.string(),
  parameters: object,
  /** Outlines of the artifacts at the connected input ports. */
  outlines: z.record(z.string(), outlineSchema),
  residency: residencySchema.optional(),
  lowestPrecision: precisionSchema.optional(),
  /** The place in an OpenTelemetry trace. */
  trace: z.record(z.string(), z.string()).optional(),
});

/** What a preparation gives. */
export const preparedSchema = z.strictObject({
  preparation: preparationSchema,
  /** The queue of those workers that run the node with the same weights, code and numerics. */
  runQueue: z.string(),
});

/** A node that a worker runs; its job's id is the node's key. */
export const runJobSchema = preparationJobSchema.extend({
  /** The ids of the artifacts at the input ports. */
  inputs: z.record(z.string(), sha256Schema),
  previews: z.boolean(),
  /** When states are kept; absent where none are. */
  snapshots: snapshotPolicySchema.optional(),
  /** The state to begin from. */
  saved: sha256Schema.optional(),
  /** The newest state that a worker kept of this job. */
  newest: sha256Schema.optional(),
  /** How often the job had lost its worker when that state was kept. */
  lostBefore: z.int().nonnegative().optional(),
});

/** What a run gives. */
export const runResultSchema = z.strictObject({
  /** The ids of the artifacts at the output ports. */
  outputs: z.record(z.string(), sha256Schema),
  memory: stageMemorySchema.optional(),
  /** What the stage warned of. */
  warnings: z.array(z.string()),
});

/** What a running job tells: the stage's reports, and the states that are kept. */
export const jobProgressSchema = z.strictObject({
  reports: z.array(z.union([
    stageReportSchema,
    z.strictObject({ type: z.literal("snapshot"), id: sha256Schema }),
  ])),
});

/** The queue whose events all workers hear. */
export const CONTROL_QUEUE: string = `control.${MESSAGES_VERSION}`;

/** A job is to stop: nobody waits for it any more. */
export const cancelSchema = z.object({ queue: z.string(), job: z.string() });

/** A worker has prepared a node, so that jobs may come to a queue; others find out whether they can take them. */
export const preparedElsewhereSchema = z.object({
  /** The queue of the preparation. */
  queue: z.string(),
  runQueue: z.string(),
  /** The preparation's data, as JSON: events carry texts alone. */
  data: z.string(),
});

/**
 * A node waits to be prepared in a queue that is named by adapters too. There are as many of these as combinations of
 * adapters, so that each worker finds out for itself whether it has what this one takes.
 */
export const wantedSchema = z.object({
  /** The queue of the preparation. */
  queue: z.string(),
  /** The preparation's data, as JSON. */
  data: z.string(),
});

/** A node that a worker prepares. */
export type PreparationJob = z.infer<typeof preparationJobSchema>;

/** A node that a worker runs. */
export type RunJob = z.infer<typeof runJobSchema>;

/** What a run gives. */
export type RunJobResult = z.infer<typeof runResultSchema>;

/** What a running job tells. */
export type JobReport = z.infer<typeof jobProgressSchema>["reports"][number];
