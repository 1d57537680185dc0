/**
 * Opens the store of a run. If the disk cannot be written or read, the run continues without one.
 *
 * @module
 */

import process from "node:process";
import { fetchNamingProxy } from "../network/proxy.ts";
import { defaultStoreFolder } from "../artifacts/store/default_folder.ts";
import { FolderStore } from "../artifacts/store/folder_store.ts";
import { HttpStore } from "../artifacts/store/http_store.ts";
import { inputStore } from "../artifacts/store/input_store.ts";
import { isS3Address, parseS3Address } from "../artifacts/store/s3_address.ts";
import { S3Store } from "../artifacts/store/s3_store.ts";
import { combinedStore, type RunStore } from "../artifacts/store/store.ts";
import { openUsableStore } from "../artifacts/store/usable_store.ts";
import { UsageError } from "./usage_error.ts";
import { userPath } from "./user_path.ts";

/** The open store of a run. */
export interface OpenStore {
  readonly store: RunStore;
  /** The reason why results are not stored, if they are not. */
  readonly warning?: string | undefined;
}

/**
 * Opens the store of a run. A folder that cannot be written is only read. A folder that cannot be read either
 * is not used. Neither stops the run.
 *
 * @param place A folder, the address of a server, or `s3://BUCKET/PREFIX`. The default is a folder in the
 * user's cache.
 * @param onRetry Called with a sentence about each failure of S3 that is retried.
 */
export async function openRunStore(
  place: string | undefined,
  onRetry?: (message: string) => void,
): Promise<OpenStore> {
  if (place !== undefined && isS3Address(place)) return { store: openS3Store(place, onRetry) };
  if (place === undefined || !isAddress(place)) {
    const { store, reason } = await openUsableStore(folderOf(place));
    const advice = "Give another folder with --store, or run with --no-store";
    return { store, warning: reason && `The results of this run are not stored: ${reason}. ${advice}` };
  }
  const { PIXSTAGE_TOKEN } = process.env;
  const artifacts = new HttpStore(place, { token: PIXSTAGE_TOKEN || undefined, fetch: fetchNamingProxy });
  // The server stores only artifacts, so their provenance is recorded on this machine.
  const { store: records, reason } = await openUsableStore(defaultStoreFolder());
  const advice = "Set PIXSTAGE_STORE to another folder, or run with --no-store";
  return {
    store: combinedStore(artifacts, records),
    warning: reason && `The records of how results were made are not stored: ${reason}. ${advice}`,
  };
}

/**
 * Opens the store of a run with `--no-store`. It stores nothing and knows no results, but it finds the
 * artifacts that the run starts from in the folder that other runs use.
 */
export function openInputStore(): RunStore {
  return inputStore(new FolderStore(defaultStoreFolder()));
}

/**
 * Opens a store in S3. Keys, region and server come from the environment variables that AWS tools read.
 *
 * @param place The address: `s3://BUCKET/PREFIX`.
 * @param onRetry Called with a sentence about each failure that is retried.
 */
export function openS3Store(place: string, onRetry?: (message: string) => void): S3Store {
  const { bucket, prefix, ...named } = parseS3Address(place);
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL } =
    process.env;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY || AWS_SESSION_TOKEN) {
    throw new UsageError(
      `Cannot open ${place} without permanent keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY` +
        (AWS_SESSION_TOKEN ? ", and unset AWS_SESSION_TOKEN" : ""),
      "store",
    );
  }
  const region = named.region ?? (AWS_REGION || "us-east-1");
  return new S3Store({
    bucket,
    prefix,
    region,
    endpoint: named.endpoint ?? (AWS_ENDPOINT_URL || `https://s3.${region}.amazonaws.com`),
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    fetch: fetchNamingProxy,
    onRetry,
  });
}

/**
 * Opens a store in a folder, for the commands that maintain it.
 *
 * @param place The folder. The default is one in the user's cache.
 */
export function openFolderStore(place: string | undefined): FolderStore {
  if (place !== undefined && isAddress(place)) {
    throw new UsageError(`Cannot maintain ${place}: the store must be a folder`);
  }
  return new FolderStore(folderOf(place));
}

function folderOf(place: string | undefined): string {
  return place === undefined ? defaultStoreFolder() : userPath(place);
}

function isAddress(place: string): boolean {
  return /^(?:https?|s3):\/\//.test(place);
}
