/**
 * Where commands write their results: files, or the standard output, which `-` names.
 *
 * @module
 */

import { stderr, stdout } from "node:process";
import { checkOutputFile, checkOutputFolder, writeOutputFile } from "../artifacts/output_file.ts";
import { writeLine, writeStdout } from "./standard_streams.ts";
import { UsageError } from "./usage_error.ts";
import { userFolder, userPath } from "./user_path.ts";

/** What stands for the standard output in place of a file's path. */
const STDOUT = "-";

/**
 * Other names of the standard output. It may be a socket or a file that is open already, so that it is not
 * opened again.
 */
const STDOUT_NAMES: readonly string[] = [STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/** How a command prints beside its results. */
interface Printing {
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
}

/** Whether the name of an output stands for the standard output. */
export function isStdout(output: string): boolean {
  return STDOUT_NAMES.includes(output);
}

/** The path of an output, or what stands for the standard output. */
export function outputPath(output: string): string {
  return isStdout(output) ? STDOUT : userPath(output);
}

/**
 * Refuses outputs that cannot be written, before anything is read.
 *
 * @param outputs The names of all outputs, as the user gave them; absent ones are skipped.
 * @param printing How the command prints beside them, and whether it names files in the user's folder by
 * itself.
 * @throws {UsageError} if the standard output would have to take several things.
 * @throws {FileError} if an output is a folder, or may not be written.
 */
export async function checkOutputs(
  outputs: readonly (string | undefined)[],
  { json, namesFiles }: Printing & { readonly namesFiles?: boolean | undefined },
): Promise<void> {
  const paths = outputs.filter((output) => output !== undefined).map(outputPath);
  const streamed = paths.filter((path) => path === STDOUT).length;
  if (streamed > 1) {
    throw new UsageError("Cannot write two results to the standard output: name a file for one of them");
  }
  if (streamed > 0 && json) {
    throw new UsageError(
      "Cannot print JSON as the standard output takes a result: name a file instead of -, or leave --json out",
    );
  }
  for (const path of paths) if (path !== STDOUT) await checkOutputFile(path);
  if (namesFiles) await checkOutputFolder(userFolder());
}

/**
 * Writes a result.
 *
 * @param output Its name, as the user gave it.
 * @param chunks Its content in pieces.
 * @returns Its path, or what stands for the standard output, for {@linkcode printPaths}.
 * @throws {FileError} if the system refuses.
 */
export async function writeOutput(
  output: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<string> {
  const path = outputPath(output);
  if (path === STDOUT) await writeStdout(chunks);
  else await writeOutputFile(path, chunks);
  return path;
}

/**
 * Prints the paths of the files that were written: on the standard error where the standard output took a
 * result.
 *
 * @param paths What {@linkcode writeOutput} gave.
 * @param printing How the command prints.
 */
export function printPaths(paths: readonly string[], { json, quiet }: Printing): void {
  const stream = paths.includes(STDOUT) ? stderr : stdout;
  for (const path of paths) {
    if (path === STDOUT) continue;
    if (json) writeLine(stream, JSON.stringify({ type: "file", path }));
    else if (!quiet) writeLine(stream, path);
  }
}
