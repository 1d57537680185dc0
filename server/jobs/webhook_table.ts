/**
 * Reads and writes the table of webhooks. A job has at most one row, from its order until the webhook is
 * sent.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import type { Job } from "./job.ts";
import { jobSchema } from "./job.ts";

/** The destination of a job's webhook. */
export interface WebhookOrder {
  /** The receiver's URL. */
  readonly url: string;
  /** The base URL by which the client addressed this server. Links to pictures start with it. */
  readonly base: string;
}

/** A webhook whose job has ended. */
export interface DueWebhook extends WebhookOrder {
  /** Id of the webhook, which is the same for each attempt. */
  readonly id: string;
  /** Number of failed attempts. */
  readonly attempts: number;
  /** The job. */
  readonly job: Job;
}

const rowSchema = z.object({
  id: z.string(),
  url: z.string(),
  base: z.string(),
  attempts: z.int().nonnegative(),
  job: z.string().transform((text): unknown => JSON.parse(text)).pipe(jobSchema),
});

/** Reads and writes webhooks. Passes SQLite errors on. */
export class WebhookTable {
  #database: DatabaseSync;

  /** @param database The database, with the schema of this program. */
  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Adds the webhook of a job. */
  insert(job: string, { url, base }: WebhookOrder): void {
    const id = `msg_${crypto.randomUUID().replaceAll("-", "")}`;
    this.#database.prepare("INSERT INTO webhooks (job, id, url, base) VALUES (?, ?, ?, ?)").run(
      job,
      id,
      url,
      base,
    );
  }

  /** Returns the due webhooks of finished jobs, the longest overdue first. */
  due(now: number, limit: number): DueWebhook[] {
    const rows = this.#database.prepare(
      `SELECT webhooks.id, url, base, attempts, jobs.job FROM webhooks JOIN jobs ON jobs.id = webhooks.job
       WHERE due <= ? AND status NOT IN ('queued', 'running') AND json_valid(jobs.job) ORDER BY due LIMIT ?`,
    ).all(now, limit);
    return rows.map((row) => rowSchema.safeParse(row).data).filter((row) => row !== undefined);
  }

  /** Postpones a webhook. */
  postpone(job: string, attempts: number, due: number): void {
    this.#database.prepare("UPDATE webhooks SET attempts = ?, due = ? WHERE job = ?").run(attempts, due, job);
  }

  /** Removes the webhook of a job. */
  remove(job: string): void {
    this.#database.prepare("DELETE FROM webhooks WHERE job = ?").run(job);
  }
}
