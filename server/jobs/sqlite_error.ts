/**
 * SQLite errors.
 *
 * @module
 */

import { z } from "zod";
import { FileError } from "../../disk/file_error.ts";

/** Primary result codes: https://sqlite.org/rescode.html */
export const SQLITE = {
  /** Another process holds the lock. */
  BUSY: 5,
  /** The file or its file system is read-only. */
  READONLY: 8,
  /** The system refused to read or write. */
  IOERR: 10,
  /** The file's content is damaged. */
  CORRUPT: 11,
  /** The disk is full. */
  FULL: 13,
  /** The file cannot be opened. */
  CANTOPEN: 14,
  /** The file is not a database. */
  NOTADB: 26,
} as const;

const errorSchema = z.object({ errcode: z.int() });

/**
 * Returns the primary result code of an error. Only prepared statements report one; `exec` does not.
 *
 * @param error The error.
 * @returns The code; `undefined` if the error has none.
 */
export function sqliteCode(error: unknown): number | undefined {
  const { data } = errorSchema.safeParse(error);
  return data && data.errcode & 0xff;
}

/** Converts an SQLite error into a fault of its file. */
export function sqliteFault(error: unknown, file: string): FileError {
  if (error instanceof FileError) return error;
  return new FileError("write", file, sqliteCode(error) === SQLITE.FULL ? "ENOSPC" : "", { cause: error });
}
