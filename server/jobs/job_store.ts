/**
 * Where jobs and their events are kept: one SQLite file, written ahead, so that a server that is killed loses nothing.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { z } from "zod";
import { type Log, noLog } from "../log.ts";
import type { Job, JobEvent, JobStatus, StoredJob } from "./job.ts";
import { openJobDatabase } from "./job_database.ts";
import { readJobRow } from "./job_row.ts";
import { transaction } from "./transaction.ts";

/** Which jobs a list is to hold. */
export interface JobQuery {
  /** At most so many. */
  readonly limit: number;
  /** Those that were asked for before this one. */
  readonly after?: string | undefined;
  /** Those of this status. */
  readonly status?: JobStatus | undefined;
}

/** No job has a larger number. */
const MAX_SEQ = Number.MAX_SAFE_INTEGER;

const eventsSchema = z.array(z.object({ number: z.int(), type: z.string(), data: z.string() }));

type Row = Readonly<Record<string, unknown>>;

/** Keeps jobs and their events in an SQLite file. */
export class JobStore {
  #database: DatabaseSync;
  #log: Log;
  #statements = new Map<string, StatementSync>();

  /**
   * @param file The file; `:memory:` for jobs that end with the process.
   * @param log Takes note of files and rows that are set aside.
   * @throws {Error} if another server has opened it, or the system refuses.
   */
  constructor(file: string, log: Log = noLog) {
    this.#database = openJobDatabase(file, log);
    this.#log = log;
  }

  /** Keeps a new job. */
  insert({ job, client, key, previews }: StoredJob): void {
    this.#sql("INSERT INTO jobs (id, status, client, key, previews, job) VALUES (?, ?, ?, ?, ?, ?)")
      .run(job.id, job.status, client, key, Number(previews), JSON.stringify(job));
  }

  /** Keeps what has become of a job. */
  update(job: Job): void {
    this.#sql("UPDATE jobs SET status = ?, job = ? WHERE id = ?").run(
      job.status,
      JSON.stringify(job),
      job.id,
    );
  }

  /** A job. */
  get(id: string): Job | undefined {
    const row = this.#sql("SELECT * FROM jobs WHERE id = ?").get(id);
    return row && this.#read(row)?.job;
  }

  /** Jobs, the newest first. */
  list({ limit, after, status }: JobQuery): Job[] {
    const page = this.#sql(
      "SELECT * FROM jobs WHERE seq < ?1 AND (?2 IS NULL OR status = ?2) ORDER BY seq DESC LIMIT ?3",
    );
    const jobs: Job[] = [];
    let before = after === undefined ? MAX_SEQ : this.#seq(after);
    while (jobs.length < limit) {
      const rows = page.all(before, status ?? null, limit - jobs.length);
      if (rows.length === 0) break;
      before = Number(rows.at(-1)?.["seq"]);
      jobs.push(...this.#readAll(rows).map(({ job }) => job));
    }
    return jobs;
  }

  /** Jobs that have not ended, the oldest first. */
  unfinished(): StoredJob[] {
    return this.#readAll(
      this.#sql("SELECT * FROM jobs WHERE status IN ('queued', 'running') ORDER BY seq").all(),
    );
  }

  /** Keeps an event. A preview takes the place of the one before it. */
  addEvent(job: string, type: string, data: string): void {
    if (type === "preview") this.forgetPreviews(job);
    this.#sql(
      `INSERT INTO events (job, number, type, data)
       SELECT ?1, COALESCE(MAX(number), 0) + 1, ?2, ?3 FROM events WHERE job = ?1`,
    ).run(job, type, data);
  }

  /** Gives a job all events that another has had. */
  copyEvents(from: string, to: string): void {
    this.#sql(
      `INSERT INTO events (job, number, type, data)
       SELECT ?2, ROW_NUMBER() OVER (ORDER BY number), type, data FROM events WHERE job = ?1`,
    ).run(from, to);
  }

  /** Events of a job after a number, in order. */
  events(job: string, after: number): JobEvent[] {
    const rows = this.#sql(
      `SELECT number, type, data FROM events WHERE job = ? AND number > ? AND json_valid(data)
       ORDER BY number LIMIT 200`,
    ).all(job, after);
    return eventsSchema.parse(rows);
  }

  /** Forgets the previews of a job. */
  forgetPreviews(job: string): void {
    this.#sql("DELETE FROM events WHERE job = ? AND type = 'preview'").run(job);
  }

  /** Forgets the oldest jobs that have ended, but for so many. */
  prune(kept: number): void {
    const over =
      `SELECT id FROM jobs WHERE status NOT IN ('queued', 'running') ORDER BY seq DESC LIMIT -1 OFFSET ?`;
    this.#sql(`DELETE FROM events WHERE job IN (${over})`).run(kept);
    this.#sql(`DELETE FROM jobs WHERE id IN (${over})`).run(kept);
  }

  /** Closes the file. */
  close(): void {
    this.#database.close();
  }

  /** The place of a job in the order of jobs; 0 if there is no such job. */
  #seq(id: string): number {
    return Number(this.#sql("SELECT seq FROM jobs WHERE id = ?").get(id)?.["seq"] ?? 0);
  }

  #readAll(rows: readonly Row[]): StoredJob[] {
    return rows.map((row) => this.#read(row)).filter((stored) => stored !== undefined);
  }

  /** Reads a row. One that does not fit is moved to a table of its own: it would be in the way of all others. */
  #read(row: Row): StoredJob | undefined {
    const read = readJobRow(row);
    if ("stored" in read) return read.stored;
    const { reason } = read;
    this.#log("job_set_aside", { id: row["id"], reason });
    transaction(this.#database, () => {
      this.#sql("INSERT INTO unfit_jobs (reason, row) VALUES (?, ?)").run(reason, JSON.stringify(row));
      this.#sql("DELETE FROM jobs WHERE seq = ?").run(Number(row["seq"]));
    });
    return undefined;
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) this.#statements.set(text, statement = this.#database.prepare(text));
    return statement;
  }
}
