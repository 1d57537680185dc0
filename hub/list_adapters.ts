/**
 * The LoRA adapters in a folder.
 *
 * @module
 */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { onDisk } from "../disk/file_error.ts";
import type { ModelEntry } from "./listed_models.ts";

const ENDING = ".safetensors";

/**
 * Lists the LoRA adapters in a folder: its safetensors files, named without the extension, and its
 * subfolders.
 *
 * @param folder The folder.
 * @returns The adapters, sorted by name. None of them has been opened.
 * @throws {FileError} if there is no such folder.
 */
export async function listAdapters(folder: string): Promise<ModelEntry[]> {
  const entries = await onDisk("read", folder, readdir(folder, { withFileTypes: true }));
  const found = entries.filter((entry) => !entry.name.startsWith("."))
    .filter((entry) => entry.isDirectory() || entry.name.endsWith(ENDING))
    .map((entry): ModelEntry => ({
      name: entry.isDirectory() ? entry.name : entry.name.slice(0, -ENDING.length),
      reference: join(folder, entry.name),
    }));
  return found.sort((a, b) => a.name < b.name ? -1 : 1);
}
