/**
 * Reads and writes the tables of jobs and events. Passes SQLite errors on.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { z } from "zod";
import type { Log } from "../log.ts";
import type { Job, JobEvent, JobStatus, StoredJob } from "./job.ts";
import { readJobRow } from "./job_row.ts";
import { searchText } from "./search_text.ts";
import { transaction } from "./transaction.ts";
import { WebhookTable } from "./webhook_table.ts";

/** A query for one page of jobs. */
export interface JobQuery {
  /** Maximum number of jobs on the page. */
  readonly limit: number;
  /** Selects jobs ordered before this one. */
  readonly after?: string | undefined;
  /** Selects jobs with this status. */
  readonly status?: JobStatus | undefined;
  /** Selects starred jobs if true, the others if false. */
  readonly starred?: boolean | undefined;
  /** Selects jobs whose text contains all of these words. */
  readonly words?: readonly string[] | undefined;
}

/** A page of jobs. */
export interface JobPage {
  /** The jobs. */
  readonly jobs: readonly Job[];
  /** Whether more jobs follow. */
  readonly hasMore: boolean;
}

/**
 * Maximum size of the jobs on a page as JSON, in UTF-16 units. Reading and writing them blocks the event
 * loop.
 */
const PAGE_LENGTH = 1 << 19;

/** An upper bound on the row numbers of jobs. */
const MAX_SEQ = Number.MAX_SAFE_INTEGER;

const snapshotEventSchema = z.object({ node: z.string(), id: z.string().optional() });

const eventsSchema = z.array(z.object({ number: z.int(), type: z.string(), data: z.string() }));

type Row = Readonly<Record<string, unknown>>;

/** Reads and writes the tables. */
export class JobTables {
  #database: DatabaseSync;
  #log: Log;
  #statements = new Map<string, StatementSync>();
  #unfit = new Set<number>();
  /** Webhooks to be sent. */
  readonly webhooks: WebhookTable;

  /**
   * @param database The database, with the schema of this program.
   * @param log Receives an entry for each row that is set aside.
   */
  constructor(database: DatabaseSync, log: Log) {
    this.#database = database;
    this.#log = log;
    this.webhooks = new WebhookTable(database);
  }

  /** Runs several writes as one transaction. */
  transaction(work: () => void): void {
    transaction(this.#database, work);
  }

  /** Adds a job. */
  insert({ job, client, address, key, previews, snapshots, saved, keepAliveMs, webhook }: StoredJob): void {
    if (webhook) this.webhooks.insert(job.id, webhook);
    this.#sql(
      `INSERT INTO jobs (id, status, client, key, previews, start, job, starred, search)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
      .run(
        job.id,
        job.status,
        client,
        key,
        Number(previews),
        JSON.stringify({ snapshots, saved, address, keepAliveMs }),
        JSON.stringify(job),
        Number(job.starred),
        searchText(job),
      );
  }

  /** Updates a job. */
  update(job: Job): void {
    this.#sql("UPDATE jobs SET status = ?, job = ?, starred = ? WHERE id = ?").run(
      job.status,
      JSON.stringify(job),
      Number(job.starred),
      job.id,
    );
  }

  /** Returns a job, or undefined if there is none. */
  get(id: string): Job | undefined {
    const row = this.#sql("SELECT * FROM jobs WHERE id = ?").get(id);
    return row && this.#read(row)?.job;
  }

  /**
   * Lists jobs, the newest first. Returns at least one job, and at most as many as the limit; fewer if the
   * jobs are large.
   *
   * @param query The query.
   * @param newer Jobs by id whose rows are outdated.
   */
  list({ limit, after, status, starred, words = [] }: JobQuery, newer: ReadonlyMap<string, Job>): JobPage {
    const next = this.#sql(
      `SELECT * FROM jobs
       WHERE seq < ?1 AND (?2 IS NULL OR status = ?2 OR id IN (SELECT value FROM json_each(?3)))
         AND (?4 IS NULL OR starred = ?4)
         AND NOT EXISTS (SELECT 1 FROM json_each(?5) WHERE instr(search, value) = 0)
       ORDER BY seq DESC LIMIT 1`,
    );
    const ids = JSON.stringify([...newer.keys()]);
    const jobs: Job[] = [];
    let before = after === undefined ? MAX_SEQ : this.#seq(after);
    for (let size = 0;;) {
      const row = next.get(
        before,
        status ?? null,
        ids,
        starred === undefined ? null : Number(starred),
        JSON.stringify(words),
      );
      if (!row) return { jobs, hasMore: false };
      size += String(row["job"]).length;
      if (jobs.length === limit || jobs.length > 0 && size > PAGE_LENGTH) return { jobs, hasMore: true };
      before = Number(row["seq"]);
      const stored = this.#read(row)?.job;
      const job = stored && (newer.get(stored.id) ?? stored);
      if (job && (status === undefined || job.status === status)) jobs.push(job);
    }
  }

  /** Returns the unfinished jobs, the oldest first. */
  unfinished(): StoredJob[] {
    return this.#readAll(
      this.#sql("SELECT * FROM jobs WHERE status IN ('queued', 'running') ORDER BY seq").all(),
    );
  }

  /** Returns the number of starred jobs. */
  starredCount(): number {
    return Number(this.#sql("SELECT COUNT(*) AS count FROM jobs WHERE starred = 1").get()?.["count"] ?? 0);
  }

  /** Returns the ids of the artifacts that starred jobs made. */
  starredArtifacts(): string[] {
    const rows = this.#sql(
      `SELECT json_extract(made.value, '$.id') AS id FROM jobs, json_each(jobs.job, '$.artifacts') AS made
       WHERE starred = 1 AND json_valid(job)`,
    ).all();
    return rows.map(({ id }) => String(id));
  }

  /** Writes an event under its number. */
  addEvent(job: string, { number, type, data }: JobEvent): void {
    this.#sql("INSERT OR REPLACE INTO events (job, number, type, data) VALUES (?, ?, ?, ?)")
      .run(job, number, type, data);
  }

  /** Returns the number of a job's last event; 0 if it has none. */
  lastNumber(job: string): number {
    const row = this.#sql("SELECT MAX(number) AS last FROM events WHERE job = ?").get(job);
    return Number(row?.["last"] ?? 0);
  }

  /** Returns the events of a job after a number, in order, up to a limit. */
  events(job: string, after: number, limit: number): JobEvent[] {
    const rows = this.#sql(
      `SELECT number, type, data FROM events WHERE job = ? AND number > ? AND json_valid(data)
       ORDER BY number LIMIT ?`,
    ).all(job, after, limit);
    return eventsSchema.parse(rows);
  }

  /** Returns the snapshots of a job's unfinished nodes, by node id: ids of artifacts. */
  snapshots(job: string): Map<string, string> {
    const rows = this.#sql(
      `SELECT type, data FROM events WHERE job = ? AND type IN ('checkpoint', 'stage:end') AND json_valid(data)
       ORDER BY number`,
    ).all(job);
    const states = new Map<string, string>();
    for (const { type, data } of rows) {
      const event = snapshotEventSchema.safeParse(JSON.parse(String(data))).data;
      if (event && type === "checkpoint" && event.id !== undefined) states.set(event.node, event.id);
      else if (event) states.delete(event.node);
    }
    return states;
  }

  /** Removes the previews of a job. */
  forgetPreviews(job: string): void {
    this.#sql("DELETE FROM events WHERE job = ? AND type = 'preview'").run(job);
  }

  /** Removes a job, its events, and its webhook. */
  remove(id: string): void {
    this.webhooks.remove(id);
    this.#sql("DELETE FROM events WHERE job = ?").run(id);
    this.#sql("DELETE FROM jobs WHERE id = ?").run(id);
  }

  /**
   * Removes the oldest finished jobs beyond a number, except those that are starred or whose webhooks are
   * pending.
   */
  prune(kept: number): void {
    const over = `SELECT id FROM jobs WHERE status NOT IN ('queued', 'running') AND starred = 0
         AND id NOT IN (SELECT job FROM webhooks)
       ORDER BY seq DESC LIMIT -1 OFFSET ?`;
    this.#sql(`DELETE FROM events WHERE job IN (${over})`).run(kept);
    this.#sql(`DELETE FROM jobs WHERE id IN (${over})`).run(kept);
  }

  /**
   * Copies the database, even if its file has been removed.
   *
   * @param file Path of the copy, which must not exist.
   */
  copyTo(file: string): void {
    this.#sql("VACUUM INTO ?").run(file);
  }

  /** Closes the database. */
  close(): void {
    this.#database.close();
  }

  /** Returns the position of a job in the order of jobs; 0 if it does not exist. */
  #seq(id: string): number {
    return Number(this.#sql("SELECT seq FROM jobs WHERE id = ?").get(id)?.["seq"] ?? 0);
  }

  #readAll(rows: readonly Row[]): StoredJob[] {
    return rows.map((row) => this.#read(row)).filter((stored) => stored !== undefined);
  }

  /**
   * Reads a row. Moves a row that does not match the schema to a separate table, so that it cannot break a
   * list or a start.
   */
  #read(row: Row): StoredJob | undefined {
    const read = readJobRow(row);
    if ("stored" in read) return read.stored;
    const { reason } = read;
    const seq = Number(row["seq"]);
    if (!this.#unfit.has(seq)) this.#log("job_set_aside", { id: row["id"], reason });
    this.#unfit.add(seq);
    try {
      this.transaction(() => {
        this.#sql("INSERT INTO unfit_jobs (reason, row) VALUES (?, ?)").run(reason, JSON.stringify(row));
        this.#sql("DELETE FROM jobs WHERE seq = ?").run(seq);
      });
    } catch {
      // The row stays in place until a later read can move it, and counts as absent.
    }
    return undefined;
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) this.#statements.set(text, statement = this.#database.prepare(text));
    return statement;
  }
}
