/**
 * Looking after a folder store: finding what is damaged, and making room.
 *
 * @module
 */

import { rm, stat } from "node:fs/promises";
import { readKept } from "./folder_kept.ts";
import { leftovers, type Shard, shardFiles, SHARDS, type StoreFile } from "./folder_layout.ts";
import { damageOf, type FolderStore } from "./folder_store.ts";

/** Something in a folder store that does not belong there. */
export interface StoreFault {
  /** What it is: a file whose content is damaged, or one that a crashed writer left. */
  readonly what: "artifact" | "record" | "leftover";
  /** Its path. */
  readonly path: string;
  /** What is wrong with it. */
  readonly reason: string;
  /** Its size in bytes. */
  readonly bytes: number;
}

/** How much was looked at, or is left. */
export interface StoreSize {
  /** Files. */
  readonly files: number;
  /** Their sizes in bytes. */
  readonly bytes: number;
}

const ALL_SHARDS = Object.keys(SHARDS) as Shard[];

/**
 * Reads all of a store and finds what is damaged and what crashed writers left.
 *
 * @param store The store.
 * @param onFile Is called for every file before it is read.
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
    yield { what: "leftover", path, reason: "its writer is gone", bytes };
  }
}

/**
 * Removes what {@linkcode verifyStore} found.
 *
 * @param fault What it found.
 */
export async function removeFault(fault: StoreFault): Promise<void> {
  await rm(fault.path, { force: true });
}

/** Options of {@linkcode collectGarbage}. */
export interface CollectOptions {
  /**
   * Bytes to shrink a store to that is larger than `maxBytes`.
   *
   * @default {maxBytes}
   */
  readonly target?: number | undefined;
  /** Age in milliseconds beyond which unused files are removed whatever the size of the store. */
  readonly maxAgeMs?: number | undefined;
  /** Says which files stay however large the store is. */
  readonly isNeeded?: ((file: StoreFile) => boolean) | undefined;
}

/**
 * Makes room: removes leftovers of crashed writers, and then what has not been used for the longest time, artifacts
 * first and records after, until the rest is no larger than asked for. A run that misses what was removed makes it
 * again. What a server keeps for its starred jobs stays.
 *
 * @param store The store.
 * @param maxBytes The most that may be left.
 * @param options Further limits, and files to spare.
 * @returns What was removed, and what is left.
 */
export async function collectGarbage(
  store: FolderStore,
  maxBytes: number,
  { target = maxBytes, maxAgeMs = Infinity, isNeeded = () => false }: CollectOptions = {},
): Promise<{ removed: StoreSize; left: StoreSize }> {
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
    // A run may have used it, or written it again, since it was listed.
    const found = await stat(file.path).catch(() => undefined);
    if (found?.mtimeMs !== file.usedAt) {
      if (found) left.push(file);
      continue;
    }
    await rm(file.path, { force: true });
    removed.push(file);
  }
  return { removed: sizeOf(removed), left: sizeOf(left) };
}

function sizeOf(files: readonly StoreFile[]): StoreSize {
  return { files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
}
