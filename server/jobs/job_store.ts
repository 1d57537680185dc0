/**
 * Where jobs and their events are kept: one SQLite file, written ahead, so that a server that is killed loses nothing.
 *
 * @module
 */

import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { PixstageError } from "../../errors/pixstage_error.ts";
import { type Job, type JobEvent, jobSchema, type JobStatus, type StoredJob } from "./job.ts";

const TABLES = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    client TEXT NOT NULL,
    key TEXT NOT NULL,
    previews INTEGER NOT NULL,
    job TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, seq);
  CREATE TABLE IF NOT EXISTS events (
    job TEXT NOT NULL,
    number INTEGER NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, number)
  ) STRICT, WITHOUT ROWID;
`;

/** Which jobs a list is to hold. */
export interface JobQuery {
  /** At most so many. */
  readonly limit: number;
  /** Those that were asked for before this one. */
  readonly after?: string | undefined;
  /** Those of this status. */
  readonly status?: JobStatus | undefined;
}

interface Row {
  readonly job: string;
  readonly client: string;
  readonly key: string;
  readonly previews: number;
}

/** Keeps jobs and their events in an SQLite file. */
export class JobStore {
  #database: DatabaseSync;
  #statements = new Map<string, StatementSync>();

  /**
   * @param file The file; `:memory:` for jobs that end with the process.
   * @throws {Error} if another server has opened it.
   */
  constructor(file: string) {
    if (file !== ":memory:") mkdirSync(dirname(file), { recursive: true });
    this.#database = new DatabaseSync(file);
    try {
      // Two servers on one file would both run its jobs. The lock ends with the process, however that ends.
      this.#database.exec(`PRAGMA locking_mode = EXCLUSIVE; ${TABLES}`);
    } catch (cause) {
      this.#database.close();
      throw new PixstageError(
        "folder_in_use",
        `Cannot open the jobs in ${file}: does another server use them?`,
        { cause },
      );
    }
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
    const row = this.#sql("SELECT job FROM jobs WHERE id = ?").get(id);
    return row && jobSchema.parse(JSON.parse(row["job"] as string));
  }

  /** Jobs, the newest first. */
  list({ limit, after, status }: JobQuery): Job[] {
    const rows = this.#sql(
      `SELECT job FROM jobs
       WHERE (?1 IS NULL OR seq < (SELECT seq FROM jobs WHERE id = ?1)) AND (?2 IS NULL OR status = ?2)
       ORDER BY seq DESC LIMIT ?3`,
    ).all(after ?? null, status ?? null, limit);
    return rows.map((row) => jobSchema.parse(JSON.parse(row["job"] as string)));
  }

  /** Jobs that have not ended, the oldest first. */
  unfinished(): StoredJob[] {
    const rows = this.#sql(
      "SELECT job, client, key, previews FROM jobs WHERE status IN ('queued', 'running') ORDER BY seq",
    ).all() as unknown as Row[];
    return rows.map(({ job, client, key, previews }) => ({
      job: jobSchema.parse(JSON.parse(job)),
      client,
      key,
      previews: previews !== 0,
    }));
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
    return this.#sql(
      "SELECT number, type, data FROM events WHERE job = ? AND number > ? ORDER BY number LIMIT 200",
    ).all(job, after) as unknown as JobEvent[];
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

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) this.#statements.set(text, statement = this.#database.prepare(text));
    return statement;
  }
}
