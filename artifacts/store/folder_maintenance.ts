/**
 * Maintenance of a folder store: finds damage and frees space.
 *
 * @module
 */

import { rm, stat } from "node:fs/promises";
import { readKept } from "./folder_kept.ts";
import { leftovers, type Shard, shardFiles, SHARDS, type StoreFile } from "./folder_layout.ts";
import { damageOf, type FolderStore } from "./folder_store.ts";

/** Something in a folder store that does not belong there. */
export interface StoreFault {
  /** Kind of the file: a damaged artifact or record, or a file left by a crashed writer. */
  readonly what: "artifact" | "record" | "leftover";
  /** Path of the file. */
  readonly path: string;
  /** The problem with the file. */
  readonly reason: string;
  /** Size of the file in bytes. */
  readonly bytes: number;
}

/** Number and size of files. */
export interface StoreSize {
  /** Number of files. */
  readonly files: number;
  /** Total size of the files in bytes. */
  readonly bytes: number;
}

const ALL_SHARDS = Object.keys(SHARDS) as Shard[];

/**
 * Reads a whole store, and finds damaged files and those left by crashed writers.
 *
 * @param store The store.
 * @param onFile Called for every file before it is read.
 * @yields The faults.
 */
export async function* verifyStore(
  store: FolderStore,
  onFile: (path: string) => void = () => {},
): AsyncGenerator<StoreFault> {
  for (const shard of ALL_SHARDS) {
    for await (const file of shardFiles(store.folder, shard)) {
      onFile(file.path);
      const damage = await damageOf(shard, file);
      if (damage) yield { what: damage.what, path: file.path, reason: damage.reason, bytes: file.bytes };
    }
  }
  for (const { path, bytes } of await leftovers(store.folder)) {
    yield { what: "leftover", path, reason: "its writer has ended", bytes };
  }
}

/**
 * Removes a fault that {@linkcode verifyStore} found.
 *
 * @param fault The fault.
 */
export async function removeFault(fault: StoreFault): Promise<void> {
  await rm(fault.path, { force: true });
}

/** Options of {@linkcode collectGarbage}. */
export interface CollectOptions {
  /**
   * Bytes to shrink a store to if it is larger than `maxBytes`.
   *
   * @default {maxBytes}
   */
  readonly target?: number | undefined;
  /** Age in milliseconds from which unused files are removed, whatever the size of the store. */
  readonly maxAgeMs?: number | undefined;
  /** Returns whether a file must stay, whatever the size of the store. */
  readonly isNeeded?: ((file: StoreFile) => boolean) | undefined;
}

/**
 * Frees space. Removes files left by crashed writers, and then the least recently used files, artifacts
 * before records, until the rest is within the limit. A run that needs a removed file computes it again. The
 * artifacts of a server's starred jobs stay.
 *
 * @param store The store.
 * @param maxBytes Maximum size to leave.
 * @param options Further limits, and files to spare.
 * @returns What was removed, what is left, and the ids of what is left.
 */
export async function collectGarbage(
  store: FolderStore,
  maxBytes: number,
  { target = maxBytes, maxAgeMs = Infinity, isNeeded = () => false }: CollectOptions = {},
): Promise<{ removed: StoreSize; left: StoreSize; ids: ReadonlySet<string> }> {
  const doomed = await leftovers(store.folder);
  const files: StoreFile[] = [];
  for (const shard of ALL_SHARDS) {
    const found = await Array.fromAsync(shardFiles(store.folder, shard));
    files.push(...found.sort((a, b) => a.usedAt - b.usedAt));
  }
  const oldest = Date.now() - maxAgeMs;
  const kept = await readKept(store.folder);
  const left: StoreFile[] = [];
  let { bytes } = sizeOf(files);
  const most = bytes > maxBytes ? target : Infinity;
  for (const file of files) {
    if (kept.has(file.id) || isNeeded(file) || bytes <= most && file.usedAt >= oldest) {
      left.push(file);
      continue;
    }
    bytes -= file.bytes;
    doomed.push(file);
  }
  const removed: StoreFile[] = [];
  for (const file of doomed) {
    // A run may have used the file, or written it again, since it was listed.
    const found = await stat(file.path).catch(() => undefined);
    if (found?.mtimeMs !== file.usedAt) {
      if (found) left.push(file);
      continue;
    }
    await rm(file.path, { force: true });
    removed.push(file);
  }
  return { removed: sizeOf(removed), left: sizeOf(left), ids: new Set(left.map(({ id }) => id)) };
}

function sizeOf(files: readonly StoreFile[]): StoreSize {
  return { files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
}
