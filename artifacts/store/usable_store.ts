/**
 * A store in a folder, as far as the disk permits.
 *
 * @module
 */

import { readdir } from "node:fs/promises";
import { FileError } from "../../disk/file_error.ts";
import { checkOutputFolder } from "../../disk/output_file.ts";
import { FolderStore } from "./folder_store.ts";
import { MemoryStore } from "./memory_store.ts";
import { overlayStore } from "./overlay_store.ts";
import type { RunStore } from "./store.ts";

/** A store, and the reason why it keeps nothing on disk, if so. */
export interface UsableStore {
  readonly store: RunStore;
  /** Why nothing is kept. */
  readonly reason?: string | undefined;
}

/**
 * Opens a store in a folder. If the folder cannot be written, it is only read. If it cannot be read either,
 * it is not used. Neither stops a run.
 *
 * @param folder The folder. It need not exist.
 */
export async function openUsableStore(folder: string): Promise<UsableStore> {
  const store = new FolderStore(folder);
  try {
    await checkOutputFolder(folder);
    return { store };
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const isReadable = await readdir(folder).then(() => true, () => false);
    return { store: isReadable ? overlayStore(store) : new MemoryStore(), reason: error.message };
  }
}
