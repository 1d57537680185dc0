/**
 * Keeps two processes from writing one file at the same time.
 *
 * @module
 */

import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { onDisk } from "./file_error.ts";

const POLL_MS = 100;

/**
 * Waits for an exclusive lock on a file. The system lets go of it when the process ends, however it ends; Python's
 * `huggingface_hub` takes the same lock. The file stays: removing it would let a third process lock another one.
 *
 * @param path The lock's file.
 * @param signal Stops the waiting.
 * @returns What lets go of it when disposed.
 */
export async function lockFile(path: string, signal?: AbortSignal): Promise<Disposable> {
  await onDisk("write", path, mkdir(dirname(path), { recursive: true }));
  const file = await onDisk("write", path, Deno.open(path, { create: true, read: true, write: true }));
  try {
    while (!await file.tryLock(true)) {
      signal?.throwIfAborted();
      await delay(POLL_MS);
    }
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}
