/**
 * Resolves paths from the user against the user's working directory. `deno task` changes to the project's
 * folder and keeps the user's in INIT_CWD.
 *
 * @module
 */

import { resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const PROJECT = resolve(fileURLToPath(new URL("..", import.meta.url)));

/** Returns the working directory of the user. */
export function userFolder(): string {
  const here = process.cwd();
  return here === PROJECT ? process.env["INIT_CWD"] ?? here : here;
}

/** Returns the absolute form of a path from the user. */
export function userPath(path: string): string {
  return resolve(userFolder(), path);
}
