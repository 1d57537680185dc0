/**
 * Reads and writes the table of webhooks: one a job, from its order until the webhook is sent.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import type { Job } from "./job.ts";
import { jobSchema } from "./job.ts";

/** Where the webhook of a job goes. */
export interface WebhookOrder {
  /** The receiver's address. */
  readonly url: string;
  /** How the client addressed this server: links to pictures begin with it. */
  readonly base: string;
}

/** A webhook whose job has ended. */
export interface DueWebhook extends WebhookOrder {
  /** Its id, the same at each attempt. */
  readonly id: string;
  /** Attempts that have failed. */
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

/** Reads and writes webhooks. Errors of SQLite pass through. */
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

  /** Webhooks of jobs that have ended, those first that are due the longest. */
  due(now: number, limit: number): DueWebhook[] {
    const rows = this.#database.prepare(
      `SELECT webhooks.id, url, base, attempts, jobs.job FROM webhooks JOIN jobs ON jobs.id = webhooks.job
       WHERE due <= ? AND status NOT IN ('queued', 'running') AND json_valid(jobs.job) ORDER BY due LIMIT ?`,
    ).all(now, limit);
    return rows.map((row) => rowSchema.safeParse(row).data).filter((row) => row !== undefined);
  }

  /** Makes a webhook due later. */
  postpone(job: string, attempts: number, due: number): void {
    this.#database.prepare("UPDATE webhooks SET attempts = ?, due = ? WHERE job = ?").run(attempts, due, job);
  }

  /** Removes the webhook of a job. */
  remove(job: string): void {
    this.#database.prepare("DELETE FROM webhooks WHERE job = ?").run(job);
  }
}
