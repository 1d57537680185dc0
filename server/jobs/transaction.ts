import type { DatabaseSync } from "node:sqlite";

/**
 * Writes several things, all of them or none.
 *
 * @param database The database.
 * @param work Writes them.
 * @throws {Error} of the work or of SQLite.
 */
export function transaction(database: DatabaseSync, work: () => void): void {
  const run = (sql: string): unknown => database.prepare(sql).run();
  run("BEGIN IMMEDIATE");
  try {
    work();
    run("COMMIT");
  } catch (error) {
    // SQLite has rolled back already where the disk is full.
    if (database.isTransaction) run("ROLLBACK");
    throw error;
  }
}
