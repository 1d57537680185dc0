/**
 * Prevents two processes from writing the same file at the same time.
 *
 * @module
 */

import { closeSync, open } from "node:fs";
import { mkdir } from "node:fs/promises";
import { constants } from "node:os";
import { dirname } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { getSystemErrorName, promisify } from "node:util";
import { type CFunction, findCFunction } from "../system/c_library.ts";
import { FileError, onDisk } from "./file_error.ts";

const POLL_MS = 100;

/** `LOCK_EX | LOCK_NB` of `sys/file.h`: exclusive, without waiting. */
const EXCLUSIVE_AT_ONCE = 2 | 4;

/** SQLite's error code for a lock held by another process. */
const SQLITE_BUSY = 5;

/** A lockable file. Disposing it closes the file and releases the lock. */
interface Lockable extends Disposable {
  /** Takes the lock unless another process holds it. Returns whether the lock was taken. */
  tryLock(): boolean | Promise<boolean>;
}

/**
 * Waits for an exclusive lock on a file. The operating system releases it when the process ends, however it
 * ends. Python's `huggingface_hub` takes the same lock. The file stays: if it were removed, a third process
 * could lock a new one. In Node without koffi, and on Windows, it is an SQLite lock on a file next to it,
 * which only other Node processes respect.
 *
 * @param path The lock's file.
 * @param signal Stops the waiting.
 * @returns An object that releases the lock when disposed.
 */
export async function lockFile(path: string, signal?: AbortSignal): Promise<Disposable> {
  await onDisk("write", path, mkdir(dirname(path), { recursive: true }));
  const file = await openLockable(path);
  try {
    while (!await file.tryLock()) {
      signal?.throwIfAborted();
      await delay(POLL_MS);
    }
    return file;
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

async function openLockable(path: string): Promise<Lockable> {
  if (typeof Deno !== "undefined") return await onDisk("write", path, openInDeno(path));
  const flock = process.platform === "win32"
    ? undefined
    : findCFunction("int flock(int file, int operation)");
  return await onDisk("write", path, flock ? openInNode(path, flock) : openDatabase(`${path}.sqlite`));
}

async function openInDeno(path: string): Promise<Lockable> {
  const file = await Deno.open(path, { create: true, read: true, write: true });
  return { tryLock: () => file.tryLock(true), [Symbol.dispose]: () => file.close() };
}

async function openInNode(path: string, { call: flock, lastError }: CFunction): Promise<Lockable> {
  const file = await promisify(open)(path, "a");
  return {
    tryLock() {
      if (flock(file, EXCLUSIVE_AT_ONCE) === 0) return true;
      const error = lastError();
      if (error === constants.errno.EWOULDBLOCK) return false;
      throw new FileError("write", path, getSystemErrorName(-error));
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

async function openDatabase(path: string): Promise<Lockable> {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(path, { timeout: 0 });
  return {
    tryLock() {
      try {
        database.exec("BEGIN EXCLUSIVE");
        return true;
      } catch (error) {
        if (isBusy(error)) return false;
        throw error;
      }
    },
    [Symbol.dispose]: () => database.close(),
  };
}

/** Returns whether another process has the lock of a database. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY;
}
