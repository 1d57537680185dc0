/**
 * The schema of the job database as a list of migrations. `PRAGMA user_version` counts the migrations applied
 * to a file. A released migration never changes; each change of the schema is a new migration.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { searchText } from "./search_text.ts";
import { transaction } from "./transaction.ts";

const MIGRATIONS: readonly (readonly string[])[] = [
  // 1. Jobs and their events. Files from before the version counter already contain these tables.
  [
    `CREATE TABLE IF NOT EXISTS jobs (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      status TEXT NOT NULL,
      client TEXT NOT NULL,
      key TEXT NOT NULL,
      previews INTEGER NOT NULL,
      job TEXT NOT NULL
    ) STRICT`,
    `CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, seq)`,
    `CREATE TABLE IF NOT EXISTS events (
      job TEXT NOT NULL,
      number INTEGER NOT NULL,
      type TEXT NOT NULL,
      data TEXT NOT NULL,
      PRIMARY KEY (job, number)
    ) STRICT, WITHOUT ROWID`,
  ],
  // 2. Rows of `jobs` that do not match the schema, as JSON, for repair.
  [
    `CREATE TABLE unfit_jobs (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      reason TEXT NOT NULL,
      row TEXT NOT NULL
    ) STRICT`,
  ],
  // 3. The snapshots that runs start from and save.
  [`ALTER TABLE jobs ADD COLUMN start TEXT NOT NULL DEFAULT '{}'`],
  // 4. Stars, and the text in which jobs are searched.
  [
    `ALTER TABLE jobs ADD COLUMN starred INTEGER NOT NULL DEFAULT 0`,
    `ALTER TABLE jobs ADD COLUMN search TEXT NOT NULL DEFAULT ''`,
    `UPDATE jobs SET search = search_text(job)`,
    `CREATE INDEX jobs_by_star ON jobs (starred, seq)`,
  ],
  // 5. Webhooks to send once their jobs have ended.
  [
    `CREATE TABLE webhooks (
      job TEXT PRIMARY KEY,
      id TEXT NOT NULL,
      url TEXT NOT NULL,
      base TEXT NOT NULL,
      attempts INTEGER NOT NULL DEFAULT 0,
      due REAL NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID`,
  ],
];

/** Queries whose preparation fails if a file lacks a table or column. */
const QUERIES: readonly string[] = [
  "SELECT seq, id, status, client, key, previews, start, job, starred, search FROM jobs",
  "SELECT job, number, type, data FROM events",
  "SELECT seq, reason, row FROM unfit_jobs",
  "SELECT job, id, url, base, attempts, due FROM webhooks",
];

/** The error of a database that comes from a newer program. */
export class NewerSchemaError extends Error {
  override name = "NewerSchemaError";
}

/**
 * Applies all outstanding migrations, or none.
 *
 * @param database The database.
 * @throws {NewerSchemaError} if the database has migrations that this program does not know.
 * @throws {Error} from SQLite.
 */
export function migrate(database: DatabaseSync): void {
  const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
  if (version > MIGRATIONS.length) {
    throw new NewerSchemaError(
      `its schema has version ${version}, but this program supports versions up to ${MIGRATIONS.length}`,
    );
  }
  database.function("search_text", (job) => searchText(jsonOf(job)));
  // Opening an up-to-date file must not write, because the disk may be full.
  if (version < MIGRATIONS.length) {
    transaction(database, () => {
      for (const statement of MIGRATIONS.slice(version).flat()) database.prepare(statement).run();
      database.prepare(`PRAGMA user_version = ${MIGRATIONS.length}`).run();
    });
  }
  for (const query of QUERIES) database.prepare(query);
}

/** Parses a JSON column; undefined if an older program or a person has written something else. */
function jsonOf(column: unknown): unknown {
  try {
    return JSON.parse(String(column));
  } catch {
    return undefined;
  }
}
