/**
 * Paths given by the user are relative to where the user stands. `deno task` moves to the project's folder and leaves
 * the user's in INIT_CWD.
 *
 * @module
 */

import { resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const PROJECT = resolve(fileURLToPath(new URL("..", import.meta.url)));

/** The folder where the user stands. */
export function userFolder(): string {
  const here = process.cwd();
  return here === PROJECT ? process.env["INIT_CWD"] ?? here : here;
}

/** The absolute path of a path that the user gave. */
export function userPath(path: string): string {
  return resolve(userFolder(), path);
}
