/**
 * Writes files that are either there in full or not there at all.
 *
 * @module
 */

import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { onDisk } from "./file_error.ts";
import { replaceFile } from "./replace_file.ts";

/** At most this much goes to the system at once, so that an abort is noticed soon. */
const WRITE_BYTES = 1 << 24;

/** How a file is written. */
export interface WriteOptions {
  /** Stops the writing; nothing is left behind. */
  readonly signal?: AbortSignal;
  /** The temporary file, on the same file system. Default is a name of its own beside the file. */
  readonly temporary?: string;
  /**
   * Whether the file is to outlive a power cut. Without, a part of it may be there after one: for content that tells by
   * itself whether it is whole, and can be made again.
   *
   * @default {true}
   */
  readonly flush?: boolean;
}

/**
 * Writes a file so that nobody ever sees a part of it: under a temporary name, flushed to the disk, then
 * renamed. A file that stands there is replaced. Folders on the way are made.
 *
 * @param path The file.
 * @param chunks Its content in pieces, at hand or as they come.
 * @param options How it is written.
 * @throws {FileError} if the system refuses; the temporary file is gone then, and an older file is untouched.
 */
export async function writeAtomically(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: WriteOptions = {},
): Promise<void> {
  const { signal, flush = true } = options;
  signal?.throwIfAborted();
  const folder = dirname(path);
  // A name that does not grow with the file's: where that one is as long as names may be, this one fits too.
  const temporary = options.temporary ?? join(folder, `.pixstage-${crypto.randomUUID()}.partial`);
  for (const needed of new Set([folder, dirname(temporary)])) {
    await onDisk("write", path, mkdir(needed, { recursive: true }));
  }
  try {
    await writeFile(temporary, path, chunks, { ...options, flush });
    await onDisk("write", path, replaceFile(temporary, path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  if (flush) await onDisk("write", path, syncFolder(folder));
}

async function writeFile(
  temporary: string,
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { signal, flush }: WriteOptions,
): Promise<void> {
  const file = await onDisk("write", path, open(temporary, "wx"));
  try {
    await writeChunks(file, path, chunks, signal);
    if (flush) await onDisk("write", path, file.sync());
  } finally {
    await file.close();
  }
}

/**
 * Writes to an open file.
 *
 * @param file The file.
 * @param path What errors call it.
 * @param chunks Its content in pieces, at hand or as they come.
 * @param signal Stops the writing.
 * @throws {FileError} if the system refuses.
 */
export async function writeChunks(
  file: FileHandle,
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  for await (const chunk of chunks) {
    for (let offset = 0; offset < chunk.length;) {
      signal?.throwIfAborted();
      const length = Math.min(WRITE_BYTES, chunk.length - offset);
      offset += (await onDisk("write", path, file.write(chunk, offset, length))).bytesWritten;
    }
  }
  signal?.throwIfAborted();
}

/** A rename outlives a power cut only once its folder is flushed too; Windows cannot flush folders. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
