/**
 * Runs modules of this project as separate programs.
 *
 * @module
 */

import process from "node:process";
import { fileURLToPath } from "node:url";

/** Deno's arguments before a module. Node needs none. */
const DENO_ARGUMENTS = ["run", "--quiet", "-A"];

/**
 * Returns the command that runs a module in its own process, under the current runtime.
 *
 * @param module The module's `file:` URL.
 * @param args The arguments of the module.
 * @returns The program and its arguments.
 */
export function moduleCommand(module: URL, ...args: string[]): [program: string, args: string[]] {
  const isDeno = process.versions["deno"] !== undefined;
  return [process.execPath, [...(isDeno ? DENO_ARGUMENTS : []), fileURLToPath(module), ...args]];
}
