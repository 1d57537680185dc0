/**
 * Opens the job database for exclusive use by one server and migrates it. Renames a file that cannot be used.
 *
 * @module
 */

import { existsSync, mkdirSync, renameSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { FileError } from "../../disk/file_error.ts";
import { PixstageError } from "../../errors/pixstage_error.ts";
import type { Log } from "../log.ts";
import { migrate } from "./migrations.ts";
import { SQLITE, sqliteCode } from "./sqlite_error.ts";

/** Result codes that point to the disk or to another process. A new file would fail in the same way. */
const PLACE_FAULTS: ReadonlySet<number | undefined> = new Set([
  SQLITE.BUSY,
  SQLITE.READONLY,
  SQLITE.IOERR,
  SQLITE.FULL,
  SQLITE.CANTOPEN,
]);

/** Minimum size of a new database in bytes. */
const LEAST_BYTES = 1 << 16;

/**
 * Opens the database. If the file is damaged, contains other tables, or comes from a newer program, renames
 * it and creates an empty one, so that a bad file never prevents a server from starting.
 *
 * @param file The file; `:memory:` for a database that ends with the process.
 * @param log Receives an entry for each renamed file.
 * @throws {FileError} with the code `ENOSPC` if the disk is full.
 * @throws {Error} if another server has opened it, or the system refuses access.
 */
export function openJobDatabase(file: string, log: Log): DatabaseSync {
  try {
    if (file !== ":memory:") mkdirSync(dirname(file), { recursive: true });
    const database = new DatabaseSync(file);
    const fault = prepare(database);
    if (!fault) return database;
    database.close();
    log("jobs_set_aside", { file, reason: fault.message, renamed: setAside(file) });
    const fresh = new DatabaseSync(file);
    const again = prepare(fresh);
    if (!again) return fresh;
    fresh.close();
    throw again;
  } catch (cause) {
    if (isFull(cause, file)) throw new FileError("write", file, "ENOSPC", { cause });
    const { message } = cause instanceof Error ? cause : new Error(String(cause));
    const reason = sqliteCode(cause) === SQLITE.BUSY
      ? "another server uses it: stop that server, or give this one another store"
      : message;
    const code = sqliteCode(cause) === SQLITE.BUSY ? "folder_in_use" : "file_system";
    throw new PixstageError(code, `Cannot open the job database ${file}: ${reason}`, { cause });
  }
}

/** Whether the disk is full. SQLite does not report why it cannot create a file. */
function isFull(error: unknown, file: string): boolean {
  const code = sqliteCode(error);
  if (code === SQLITE.FULL) return true;
  if (code !== undefined && code !== SQLITE.IOERR && code !== SQLITE.CANTOPEN) return false;
  try {
    const { bavail, bsize, files, ffree } = statfsSync(dirname(file));
    return bavail * bsize < LEAST_BYTES || files > 0 && ffree === 0;
  } catch {
    return error instanceof Error && "code" in error && error.code === "ENOSPC";
  }
}

/**
 * Locks a database and migrates it.
 *
 * @returns The fault that makes the file unusable; `undefined` if there is none.
 * @throws {Error} from SQLite if the fault lies with the disk or with another process.
 */
function prepare(database: DatabaseSync): Error | undefined {
  try {
    // Two servers on one file would both run its jobs. The lock ends with the process, however the process
    // ends.
    database.prepare("PRAGMA locking_mode = EXCLUSIVE").get();
    database.prepare("PRAGMA journal_mode = WAL").get();
    database.prepare("PRAGMA synchronous = NORMAL").run();
    const [found] = database.prepare("PRAGMA quick_check(1)").all();
    if (found?.["quick_check"] !== "ok") return new Error(String(found?.["quick_check"]));
    migrate(database);
    return undefined;
  } catch (error) {
    if (!(error instanceof Error) || PLACE_FAULTS.has(sqliteCode(error))) {
      database.close();
      throw error;
    }
    return error;
  }
}

/**
 * Replaces a database with a copy. Renames an existing file, unless another server uses it.
 *
 * @param file The database.
 * @param copy The copy, closed.
 * @param log Receives an entry for each renamed file.
 * @throws {Error} from SQLite if another server uses the database.
 */
export function replaceDatabase(file: string, copy: string, log: Log): void {
  if (existsSync(file)) {
    const database = new DatabaseSync(file);
    try {
      database.prepare("PRAGMA locking_mode = EXCLUSIVE").get();
      database.prepare("PRAGMA user_version").get();
    } catch (error) {
      if (sqliteCode(error) === SQLITE.BUSY) throw error;
    } finally {
      database.close();
    }
    const reason = "another file has replaced the one that the server uses";
    log("jobs_set_aside", { file, reason, renamed: setAside(file) });
  }
  renameSync(copy, file);
}

/** Renames a database together with its write-ahead log, so that SQLite's own tools can still open it. */
function setAside(file: string): string {
  const time = new Date().toISOString().replaceAll(/[:.]/g, "-");
  const renamed = file.replace(/(\.\w+)?$/, `.set-aside-${time}$1`);
  for (const ending of ["-wal", "-shm", ""]) {
    if (existsSync(file + ending)) renameSync(file + ending, renamed + ending);
  }
  return renamed;
}
