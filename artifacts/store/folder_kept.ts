/**
 * Artifacts of a folder store that collections spare: a server lists those of its starred jobs in `kept.json`.
 *
 * @module
 */

import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeAtomically } from "../atomically.ts";
import { onDisk } from "../file_error.ts";
import { partialPath } from "./folder_layout.ts";
import { sha256Schema } from "./stage_record.ts";

const keptSchema = z.object({ artifacts: z.array(sha256Schema) });

/**
 * Lists the artifacts that collections are to spare, in the place of those that were listed before.
 *
 * @param folder The store.
 * @param artifacts Their ids; with none the list is removed.
 * @throws {FileError} if the system refuses.
 */
export async function writeKept(folder: string, artifacts: readonly string[]): Promise<void> {
  const path = listPath(folder);
  if (artifacts.length === 0) return await onDisk("write", path, rm(path, { force: true }));
  const list = new TextEncoder().encode(JSON.stringify({ artifacts }));
  await writeAtomically(path, [list], { temporary: partialPath(folder) });
}

/**
 * The artifacts that collections are to spare.
 *
 * @param folder The store.
 * @returns Their ids; none where the list is missing or damaged.
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
