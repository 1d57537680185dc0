/**
 * The layout of a folder store on disk:
 *
 *     artifacts/ab/ab12….safetensors   artifacts by id
 *     results/cd/cd34….json            what stages made, by key
 *     makers/ab/ab12….json             the key of the result that an artifact belongs to
 *     partial/HOST-PID-UUID            files that are being written
 *     kept.json                        artifacts that collections spare
 *
 * @module
 */

import { readdir, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { FileError, onDisk } from "../../disk/file_error.ts";
import { isAlive } from "../../system/kernel.ts";

/** Subfolders whose files are named by a SHA-256, and the extensions of these files. */
export const SHARDS = { artifacts: ".safetensors", results: ".json", makers: ".json" } as const;

/** A subfolder whose files are named by a SHA-256. */
export type Shard = keyof typeof SHARDS;

/** A file in a folder store. */
export interface StoreFile {
  /** Path of the file. */
  readonly path: string;
  /** Name of the file without the extension. */
  readonly id: string;
  /** Size of the file in bytes. */
  readonly bytes: number;
  /** Time of the last write or use, in milliseconds since 1970. */
  readonly usedAt: number;
}

/**
 * Longest time in milliseconds that a file can take to write. An older one was left by a writer on a machine
 * that is gone.
 */
const LONGEST_WRITE_MS = 24 * 3600 * 1000;

const HOST = hostname().replaceAll(/[^\w.]/g, "_").slice(0, 60) || "host";

/** Returns the path of a file named by a SHA-256. */
export function shardPath(folder: string, shard: Shard, id: string): string {
  return join(folder, shard, id.slice(0, 2), id + SHARDS[shard]);
}

/** Returns a path for a file that is being written. The path identifies the writer. */
export function partialPath(folder: string): string {
  return join(folder, "partial", `${HOST}-${process.pid}-${crypto.randomUUID()}`);
}

/** Lists the files of a subfolder, including those with an invalid name. */
export async function* shardFiles(folder: string, shard: Shard): AsyncGenerator<StoreFile> {
  for (const prefix of await names(join(folder, shard))) {
    for (const name of await names(join(folder, shard, prefix))) {
      const file = await storeFile(join(folder, shard, prefix, name), name.slice(0, -SHARDS[shard].length));
      if (file) yield file;
    }
  }
}

/** Lists unfinished files whose writer has ended. */
export async function leftovers(folder: string): Promise<StoreFile[]> {
  const files: StoreFile[] = [];
  for (const name of await names(join(folder, "partial"))) {
    const file = await storeFile(join(folder, "partial", name), name);
    if (file && !isBeingWritten(file)) files.push(file);
  }
  return files;
}

/**
 * Removes the files that a process of this machine was writing when it died.
 *
 * @param folder The store.
 * @param pid Id of the process, which must have ended.
 */
export async function removePartialsOf(folder: string, pid: number): Promise<void> {
  for (const name of await names(join(folder, "partial")).catch(() => [])) {
    if (name.startsWith(`${HOST}-${pid}-`)) await rm(join(folder, "partial", name), { force: true });
  }
}

function isBeingWritten({ id, usedAt }: StoreFile): boolean {
  if (Date.now() - usedAt > LONGEST_WRITE_MS) return false;
  const [, host, pid] = /^(.*)-(\d+)-[0-9a-f]{8}-/.exec(id) ?? [];
  return host !== HOST || isAlive(Number(pid));
}

async function storeFile(path: string, id: string): Promise<StoreFile | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? { path, id, bytes: found.size, usedAt: found.mtimeMs } : undefined;
}

/** Returns the names in a folder, or none if there is no folder. */
async function names(folder: string): Promise<string[]> {
  try {
    return (await onDisk("read", folder, readdir(folder))).sort();
  } catch (error) {
    if (error instanceof FileError && error.code === "file_not_found") return [];
    throw error;
  }
}
