/**
 * Artifacts of a folder store that garbage collection spares. A server lists those of its starred jobs in
 * `kept.json`.
 *
 * @module
 */

import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeAtomically } from "../../disk/atomic_write.ts";
import { onDisk } from "../../disk/file_error.ts";
import { partialPath } from "./folder_layout.ts";
import { sha256Schema } from "./stage_record.ts";

const keptSchema = z.object({ artifacts: z.array(sha256Schema) });

/**
 * Writes the list of artifacts that garbage collection spares. Replaces the existing list.
 *
 * @param folder The store.
 * @param artifacts Their ids. An empty list removes the file.
 * @throws {FileError} if the operating system refuses.
 */
export async function writeKept(folder: string, artifacts: readonly string[]): Promise<void> {
  const path = listPath(folder);
  if (artifacts.length === 0) return await onDisk("write", path, rm(path, { force: true }));
  const list = new TextEncoder().encode(JSON.stringify({ artifacts }));
  await writeAtomically(path, [list], { temporary: partialPath(folder) });
}

/**
 * Reads the list of artifacts that garbage collection spares.
 *
 * @param folder The store.
 * @returns Their ids. Empty if the list is missing or damaged.
 */
export async function readKept(folder: string): Promise<ReadonlySet<string>> {
  try {
    return new Set(keptSchema.parse(JSON.parse(await readFile(listPath(folder), "utf8"))).artifacts);
  } catch {
    return new Set();
  }
}

function listPath(folder: string): string {
  return join(folder, "kept.json");
}
