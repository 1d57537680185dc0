/**
 * Modules of this project as programs of their own.
 *
 * @module
 */

import process from "node:process";
import { fileURLToPath } from "node:url";

/** What Deno is told before a module. Node is told nothing. */
const DENO_ARGUMENTS = ["run", "--quiet", "-A"];

/**
 * The command that runs a module in a process of its own, under the runtime that runs this one.
 *
 * @param module The module's address, a `file:` URL.
 * @param args The arguments of the module.
 * @returns The program and its arguments.
 */
export function moduleCommand(module: URL, ...args: string[]): [program: string, args: string[]] {
  const isDeno = process.versions["deno"] !== undefined;
  return [process.execPath, [...(isDeno ? DENO_ARGUMENTS : []), fileURLToPath(module), ...args]];
}
