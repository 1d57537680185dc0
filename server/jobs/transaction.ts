import type { DatabaseSync } from "node:sqlite";

/**
 * Runs several writes as one transaction.
 *
 * @param database The database.
 * @param work Performs the writes.
 * @throws {Error} from the work or from SQLite.
 */
export function transaction(database: DatabaseSync, work: () => void): void {
  const run = (sql: string): unknown => database.prepare(sql).run();
  run("BEGIN IMMEDIATE");
  try {
    work();
    run("COMMIT");
  } catch (error) {
    // If the disk is full, SQLite has already rolled back.
    if (database.isTransaction) run("ROLLBACK");
    throw error;
  }
}
