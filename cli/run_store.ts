/**
 * The store of a run, as far as the disk lets it be one.
 *
 * @module
 */

import { readdir } from "node:fs/promises";
import process from "node:process";
import { FileError } from "../artifacts/file_error.ts";
import { checkOutputFolder } from "../artifacts/output_file.ts";
import { fetchNamingProxy } from "../artifacts/proxy.ts";
import { defaultStoreFolder } from "../artifacts/store/default_folder.ts";
import { FolderStore } from "../artifacts/store/folder_store.ts";
import { HttpStore } from "../artifacts/store/http_store.ts";
import { MemoryStore } from "../artifacts/store/memory_store.ts";
import { overlayStore } from "../artifacts/store/overlay_store.ts";
import { combinedStore, type RunStore } from "../artifacts/store/store.ts";
import { UsageError } from "./usage_error.ts";
import { userPath } from "./user_path.ts";

/** The store of a run. */
export interface OpenStore {
  readonly store: RunStore;
  /** Why results are not kept, if they are not. */
  readonly warning?: string | undefined;
}

/**
 * Opens the store of a run. A folder that may not be written is read alone, and one that may not be read
 * either is not used: neither stops a run.
 *
 * @param place A folder or a server's address. Default is a folder in the user's cache.
 */
export async function openRunStore(place: string | undefined): Promise<OpenStore> {
  if (place === undefined || !isAddress(place)) {
    const { store, reason } = await openFolder(place);
    const advice = "Name another folder with --store, or give --no-store";
    return { store, warning: reason && `Nothing of this run is kept: ${reason}. ${advice}` };
  }
  const { PIXSTAGE_TOKEN } = process.env;
  const artifacts = new HttpStore(place, { token: PIXSTAGE_TOKEN || undefined, fetch: fetchNamingProxy });
  // A server keeps artifacts; how they were made is written down here.
  const { store: records, reason } = await openFolder(undefined);
  const advice = "Set PIXSTAGE_STORE to another folder, or give --no-store";
  return {
    store: combinedStore(artifacts, records),
    warning: reason && `How results come about is not kept: ${reason}. ${advice}`,
  };
}

/**
 * Opens a store in a folder, for commands that look after it.
 *
 * @param place The folder. Default is one in the user's cache.
 */
export function openFolderStore(place: string | undefined): FolderStore {
  if (place !== undefined && isAddress(place)) {
    throw new UsageError(`Cannot look after ${place} as the store must be a folder`);
  }
  return new FolderStore(place === undefined ? defaultStoreFolder() : userPath(place));
}

/** Opens a store in a folder, and gives the reason where it cannot be written. */
async function openFolder(
  place: string | undefined,
): Promise<{ readonly store: RunStore; readonly reason?: string | undefined }> {
  const store = openFolderStore(place);
  try {
    await checkOutputFolder(store.folder);
    return { store };
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const isReadable = await readdir(store.folder).then(() => true, () => false);
    return { store: isReadable ? overlayStore(store) : new MemoryStore(), reason: error.message };
  }
}

function isAddress(place: string): boolean {
  return /^https?:\/\//.test(place);
}
