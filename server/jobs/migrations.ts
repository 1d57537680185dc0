/**
 * The schema of the job database, as the steps that lead to it. `PRAGMA user_version` counts the steps that a file has
 * had. A step that was ever released stays as it is: what changes is added as a new one.
 *
 * @module
 */

import type { DatabaseSync } from "node:sqlite";
import { transaction } from "./transaction.ts";

const MIGRATIONS: readonly (readonly string[])[] = [
  // 1. Jobs and their events. Files from before versions were counted hold these tables already.
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
  // 2. Rows of `jobs` that cannot be read, whole and as JSON, for whoever wants to repair them.
  [
    `CREATE TABLE unfit_jobs (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      reason TEXT NOT NULL,
      row TEXT NOT NULL
    ) STRICT`,
  ],
  // 3. Where runs begin, and what they keep on the way.
  [`ALTER TABLE jobs ADD COLUMN start TEXT NOT NULL DEFAULT '{}'`],
];

/** What this program reads and writes: prepared once to find out whether a file has it. */
const QUERIES: readonly string[] = [
  "SELECT seq, id, status, client, key, previews, start, job FROM jobs",
  "SELECT job, number, type, data FROM events",
  "SELECT seq, reason, row FROM unfit_jobs",
];

/** A database that a newer program has written. */
export class NewerSchemaError extends Error {
  override name = "NewerSchemaError";
}

/**
 * Brings a database to the schema of this program, all steps or none.
 *
 * @param database The database.
 * @throws {NewerSchemaError} if it has had steps that this program does not know.
 * @throws what SQLite throws.
 */
export function migrate(database: DatabaseSync): void {
  const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
  if (version > MIGRATIONS.length) {
    throw new NewerSchemaError(
      `its schema has version ${version}, this program knows versions up to ${MIGRATIONS.length}`,
    );
  }
  // A file that is up to date is opened without a write: the disk may be full.
  if (version < MIGRATIONS.length) {
    transaction(database, () => {
      for (const statement of MIGRATIONS.slice(version).flat()) database.prepare(statement).run();
      database.prepare(`PRAGMA user_version = ${MIGRATIONS.length}`).run();
    });
  }
  for (const query of QUERIES) database.prepare(query);
}
