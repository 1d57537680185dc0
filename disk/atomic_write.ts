/**
 * Writes files atomically: a file is either complete or absent.
 *
 * @module
 */

import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { onDisk } from "./file_error.ts";
import { replaceFile } from "./replace_file.ts";

/** Maximum number of bytes per write, so that an abort takes effect soon. */
const WRITE_BYTES = 1 << 24;

/** Options for writing a file. */
export interface WriteOptions {
  /** Signal that aborts the write. No partial file is left. */
  readonly signal?: AbortSignal;
  /** The temporary file, on the same file system. The default is a unique name in the file's folder. */
  readonly temporary?: string;
  /**
   * Whether the file must survive a power cut. Otherwise it can be incomplete after one. That is enough for
   * content that detects its own damage and can be computed again.
   *
   * @default {true}
   */
  readonly flush?: boolean;
}

/**
 * Writes a file such that no reader ever sees a part of it: under a temporary name, flushed to disk, then
 * renamed. Replaces an existing file, and creates missing folders.
 *
 * @param path The file.
 * @param chunks Its content in chunks, from memory or as a stream.
 * @param options How to write it.
 * @throws {FileError} if the operating system refuses. The temporary file is then removed, and an existing
 * file is untouched.
 */
export async function writeAtomically(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: WriteOptions = {},
): Promise<void> {
  const { signal, flush = true } = options;
  signal?.throwIfAborted();
  const folder = dirname(path);
  // The temporary name has a fixed length. It fits even if the file's own name has the maximum length.
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
 * @param path Name of the file, for errors.
 * @param chunks Its content in chunks, from memory or as a stream.
 * @param signal Stops the writing.
 * @throws {FileError} if the operating system refuses.
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

/**
 * Flushes a folder. A rename only survives a power cut once its folder is flushed too. Windows cannot flush
 * folders.
 */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
