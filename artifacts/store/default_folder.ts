/**
 * The default location of the store.
 *
 * @module
 */

import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** Returns `PIXSTAGE_STORE`, or else a folder in the user's cache. */
export function defaultStoreFolder(): string {
  return process.env["PIXSTAGE_STORE"] || join(userCacheFolder(), "store");
}

/** Returns the folder of pixstage in the user's cache. */
export function userCacheFolder(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (process.platform === "win32") {
    return join(LOCALAPPDATA || join(homedir(), "AppData", "Local"), "pixstage");
  }
  const caches = process.platform === "darwin"
    ? join(homedir(), "Library", "Caches")
    : join(homedir(), ".cache");
  return join(XDG_CACHE_HOME || caches, "pixstage");
}
