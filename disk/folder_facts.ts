/**
 * The state of a folder: its size, the free disk space, and whether it can be written.
 *
 * @module
 */

import { lstat, readdir, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FileError } from "./file_error.ts";
import { checkOutputFolder } from "./output_file.ts";

/** The known properties of a folder. */
export interface FolderFacts {
  readonly path: string;
  readonly exists: boolean;
  /** The size of all files in it in bytes, if it was measured. */
  readonly bytes?: number | undefined;
  /** Free space on its disk in bytes, or on that of the nearest folder above it that exists. */
  readonly freeBytes?: number | undefined;
  /** Why no file can be written to it. Absent if files can be written. */
  readonly fault?: string | undefined;
}

/**
 * Examines a folder. Writes and removes a small file to find out whether it can be written.
 *
 * @param path The folder. It need not exist.
 * @param options Whether to add up the size of all files in it. The default is true.
 */
export async function folderFacts(
  path: string,
  { measured = true }: { readonly measured?: boolean } = {},
): Promise<FolderFacts> {
  const exists = await stat(path).then((found) => found.isDirectory(), () => false);
  const fault = await checkOutputFolder(path).then(() => undefined, (error: unknown) => {
    if (error instanceof FileError) return error.message;
    throw error;
  });
  const bytes = measured ? await folderBytes(path) : undefined;
  return { path, exists, bytes, freeBytes: await freeSpace(path), fault };
}

/**
 * Returns the size of all files, without following links, because links point to files that count already.
 */
async function folderBytes(path: string): Promise<number> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    bytes += await lstat(join(entry.parentPath, entry.name)).then(({ size }) => size, () => 0);
  }
  return bytes;
}

async function freeSpace(path: string): Promise<number | undefined> {
  for (let folder = path;; folder = dirname(folder)) {
    const found = await statfs(folder).catch(() => undefined);
    if (found) return found.bavail * found.bsize;
    if (dirname(folder) === folder) return undefined;
  }
}
