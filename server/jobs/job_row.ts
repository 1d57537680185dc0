/**
 * Reads rows of the table `jobs`. A row written by an older program or edited by hand may not match the
 * schema.
 *
 * @module
 */

import { z } from "zod";
import { graphDocumentSchema } from "../../graph/document.ts";
import { sha256Schema } from "../../artifacts/store/stage_record.ts";
import { snapshotPolicySchema } from "../../graph/snapshots.ts";
import { isOver, jobSchema, jobStatusSchema, type StoredJob } from "./job.ts";

const jsonSchema = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: String(error) });
    return z.NEVER;
  }
});

const rowSchema = z.object({
  id: z.string(),
  status: jobStatusSchema,
  client: z.string(),
  key: z.string(),
  previews: z.int().transform(Boolean),
  start: jsonSchema.pipe(z.object({
    snapshots: snapshotPolicySchema.optional(),
    saved: z.record(z.string(), sha256Schema).optional(),
    address: z.string().optional(),
    // JSON cannot represent Infinity, so null stands for it.
    keepAliveMs: z.number().nullable().transform((ms) => ms ?? Infinity).optional(),
  })),
  job: jsonSchema.pipe(jobSchema),
}).superRefine(({ id, status, job }, context) => {
  const fail = (path: string[], message: string): void => context.addIssue({ code: "custom", path, message });
  if (job.id !== id) fail(["job", "id"], `It must be ${id}`);
  if (job.status !== status) fail(["job", "status"], `It must be ${status}`);
  // A finished job is only shown, but an unfinished one must be able to run.
  const graph = isOver(status) ? undefined : graphDocumentSchema.safeParse(job.graph).error;
  if (graph) fail(["job", "graph"], z.prettifyError(graph));
});

/** The job in a row, or the reason why the row does not match the schema. */
export type ReadRow = { readonly stored: StoredJob } | { readonly reason: string };

/**
 * Reads a row.
 *
 * @param row The row from SQLite.
 */
export function readJobRow(row: unknown): ReadRow {
  const { data, error } = rowSchema.safeParse(row);
  if (!data) return { reason: z.prettifyError(error) };
  const { job, client, key, previews, start } = data;
  return { stored: { job, client, key, previews, ...start } };
}
