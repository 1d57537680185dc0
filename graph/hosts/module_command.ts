/**
 * Runs modules of this project as separate programs.
 *
 * @module
 */

import process from "node:process";
import { fileURLToPath } from "node:url";

/** Variables of the dynamic loader. Deno passes them only to programs of a process that may run any program. */
const LOADER_VARIABLE = /^(LD|DYLD)_/;

/** A program with its arguments and its environment. */
export interface ModuleCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Returns the command that runs a module in its own process, under the current runtime.
 *
 * @param module The module's `file:` URL.
 * @param args The arguments of the module.
 * @param flags Deno's permission flags for the process. Node needs none.
 * @returns The command.
 */
export function moduleCommand(
  module: URL,
  args: readonly string[],
  flags: () => readonly string[],
): ModuleCommand {
  const path = fileURLToPath(module);
  if (typeof Deno === "undefined") {
    return { program: process.execPath, args: [path, ...args], env: process.env };
  }
  const passesAll = Deno.permissions.querySync({ name: "run" }).state === "granted";
  const variables = Object.entries(process.env).filter(([name]) => passesAll || !LOADER_VARIABLE.test(name));
  return {
    program: process.execPath,
    args: ["run", "--quiet", ...flags(), path, ...args],
    env: Object.fromEntries(variables),
  };
}
