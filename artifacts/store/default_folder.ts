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
  const { PIXSTAGE_STORE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (PIXSTAGE_STORE) return PIXSTAGE_STORE;
  if (process.platform === "win32") {
    return join(LOCALAPPDATA || join(homedir(), "AppData", "Local"), "pixstage", "store");
  }
  const caches = process.platform === "darwin"
    ? join(homedir(), "Library", "Caches")
    : join(homedir(), ".cache");
  return join(XDG_CACHE_HOME || caches, "pixstage", "store");
}
