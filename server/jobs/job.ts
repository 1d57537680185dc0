/**
 * Jobs: graphs that were asked for, waiting, running or done.
 *
 * @module
 */

import { z } from "@hono/zod-openapi";
import { shownErrorSchema } from "../api_error.ts";
import type { SnapshotPolicy } from "../../graph/snapshots.ts";
import { madeOutputSchema } from "../engine/engine.ts";
import type { WebhookOrder } from "./webhook_table.ts";

/** How far a job is. */
export const jobStatusSchema = z.enum(["queued", "running", "completed", "failed", "cancelled"]);

/** Whether a job has come to its end. */
export function isOver(status: JobStatus): boolean {
  return status !== "queued" && status !== "running";
}

/** The schema of {@linkcode Job}. */
export const jobSchema = z.object({
  id: z.string(),
  object: z.literal("job"),
  /** What was asked for: pictures, a whole graph, or one stage. */
  kind: z.enum(["picture", "graph", "stage"]),
  status: jobStatusSchema,
  /** When it was asked for, in seconds since 1970. */
  created: z.number(),
  /** When it began to run, in seconds since 1970. */
  started: z.number().nullable(),
  /** When it ended, in seconds since 1970. */
  completed: z.number().nullable(),
  /** Seconds after `created` at which an unfinished job fails. */
  deadline: z.number().positive().nullable().default(null),
  /** Starts since the last progress that was kept. A job that ends the server at every start is given up. */
  attempts: z.int().nonnegative().default(0),
  /** The picture request, where it was one. */
  request: z.record(z.string(), z.unknown()).nullable(),
  /** The graph that it runs. */
  graph: z.record(z.string(), z.unknown()),
  /** What was made, by `node.port`. */
  artifacts: z.record(z.string(), madeOutputSchema),
  /** What was not as asked for. */
  warnings: z.array(z.string()),
  error: shownErrorSchema.nullable(),
  /** Whether a user has starred it. It stays then, and so do its artifacts, until it is removed. */
  starred: z.boolean().default(false),
}).openapi("Job");

/** How far a job is. */
export type JobStatus = z.infer<typeof jobStatusSchema>;

/** A job. */
export type Job = z.infer<typeof jobSchema>;

/** A job with what is kept beside it. */
export interface StoredJob {
  /** The job. */
  readonly job: Job;
  /** Who asked for it; clients are served in turn. */
  readonly client: string;
  /** The address that it was asked for from, where that is known. */
  readonly address?: string | undefined;
  /** Jobs of one key are done once while one of them is in flight. */
  readonly key: string;
  /** Whether denoising tells what it has come to at every step. */
  readonly previews: boolean;
  /** When states of running stages are kept; every five seconds by default. */
  readonly snapshots?: SnapshotPolicy | undefined;
  /** Milliseconds that what the run has loaded stays afterwards; as the server keeps it unless given. */
  readonly keepAliveMs?: number | undefined;
  /** Where to tell that the job has ended. */
  readonly webhook?: WebhookOrder | undefined;
  /** States that nodes begin from, by node id: ids of artifacts in the store. */
  readonly saved?: Readonly<Record<string, string>> | undefined;
}

/** An event of a job, numbered from 1. */
export interface JobEvent {
  /** Its number. */
  readonly number: number;
  /** Its type: `step`. */
  readonly type: string;
  /** The event, as JSON. */
  readonly data: string;
}
