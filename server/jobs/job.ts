/**
 * Jobs: orders of a graph, waiting, running or finished.
 *
 * @module
 */

import { z } from "@hono/zod-openapi";
import { shownErrorSchema } from "../api_error.ts";
import type { SnapshotPolicy } from "../../graph/snapshots.ts";
import { madeOutputSchema } from "../engine/engine.ts";
import type { WebhookOrder } from "./webhook_table.ts";

/** Schema of a job's status. */
export const jobStatusSchema = z.enum(["queued", "running", "completed", "failed", "cancelled"]);

/** Whether a job has ended. */
export function isOver(status: JobStatus): boolean {
  return status !== "queued" && status !== "running";
}

/** Schema of {@linkcode Job}. */
export const jobSchema = z.object({
  id: z.string(),
  object: z.literal("job"),
  /** The kind of order: pictures, a whole graph, or one stage. */
  kind: z.enum(["picture", "graph", "stage"]),
  status: jobStatusSchema,
  /** When the job was ordered, in seconds since 1970. */
  created: z.number(),
  /** When the job started, in seconds since 1970. */
  started: z.number().nullable(),
  /** When the job ended, in seconds since 1970. */
  completed: z.number().nullable(),
  /** Seconds after `created` at which an unfinished job fails. */
  deadline: z.number().positive().nullable().default(null),
  /** Starts since the last saved progress. A job that crashes the server at every start is given up. */
  attempts: z.int().nonnegative().default(0),
  /** The picture request, if the job has one. */
  request: z.record(z.string(), z.unknown()).nullable(),
  /** The graph to run. */
  graph: z.record(z.string(), z.unknown()),
  /** The artifacts made, by `node.port`. */
  artifacts: z.record(z.string(), madeOutputSchema),
  /** Warnings about settings that were not honoured. */
  warnings: z.array(z.string()),
  error: shownErrorSchema.nullable(),
  /**
   * Whether a user has starred the job. A starred job and its artifacts stay until a user removes the job.
   */
  starred: z.boolean().default(false),
}).openapi("Job");

/** The status of a job. */
export type JobStatus = z.infer<typeof jobStatusSchema>;

/** A job. */
export type Job = z.infer<typeof jobSchema>;

/** A job with the data stored alongside it. */
export interface StoredJob {
  /** The job. */
  readonly job: Job;
  /** The client that ordered it. Clients are served in turn. */
  readonly client: string;
  /** The address that the order came from, if known. */
  readonly address?: string | undefined;
  /** Key of the job's work. While a job is unfinished, further jobs with the same key share its run. */
  readonly key: string;
  /** Whether denoising reports an intermediate image at every step. */
  readonly previews: boolean;
  /** When to save snapshots of running stages; every five seconds by default. */
  readonly snapshots?: SnapshotPolicy | undefined;
  /**
   * Milliseconds that the weights loaded by the run stay in memory afterwards. Defaults to the server's own
   * setting.
   */
  readonly keepAliveMs?: number | undefined;
  /** The webhook to send when the job has ended. */
  readonly webhook?: WebhookOrder | undefined;
  /** Snapshots that nodes start from, by node id: ids of artifacts in the store. */
  readonly saved?: Readonly<Record<string, string>> | undefined;
}

/** An event of a job, numbered from 1. */
export interface JobEvent {
  /** Number of the event. */
  readonly number: number;
  /** Type of the event, e.g. `step`. */
  readonly type: string;
  /** The event, as JSON. */
  readonly data: string;
}
