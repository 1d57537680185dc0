/**
 * Runs modules of this project as separate programs.
 *
 * @module
 */

import process from "node:process";
import { fileURLToPath } from "node:url";
import { PermissionError } from "../../errors/permission_error.ts";
import { permittedEnvironment } from "../../permissions/permission_sets.ts";

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
 * @throws {PermissionError} if Deno does not permit it.
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
  if (Deno.permissions.querySync({ name: "run", command: process.execPath }).state !== "granted") {
    throw new PermissionError("run", process.execPath);
  }
  return {
    program: process.execPath,
    args: ["run", "--quiet", ...flags(), path, ...args],
    env: permittedEnvironment(),
  };
}
