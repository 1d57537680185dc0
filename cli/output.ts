/**
 * Writes the results of commands to files, or to the standard output if the name is `-`.
 *
 * @module
 */

import { stderr, stdout } from "node:process";
import { checkOutputFile, checkOutputFolder, isStream, writeOutputFile } from "../disk/output_file.ts";
import { leaveInterrupts } from "./interrupt.ts";
import { writeLine, writeStdout } from "./standard_streams.ts";
import { UsageError } from "./usage_error.ts";
import { userFolder, userPath } from "./user_path.ts";

/** Name that stands for the standard output. */
const STDOUT = "-";

/**
 * All names of the standard output. pixstage writes to it directly and never opens these names, because the
 * standard output can be a socket or a file that is already open.
 */
const STDOUT_NAMES: readonly string[] = [STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/** The output of a command in addition to its results. */
interface Printing {
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
}

/** Returns whether the name of an output stands for the standard output. */
export function isStdout(output: string): boolean {
  return STDOUT_NAMES.includes(output);
}

/** Returns the path of an output, or `-` for the standard output. */
export function outputPath(output: string): string {
  return isStdout(output) ? STDOUT : userPath(output);
}

/**
 * Checks that all outputs can be written, before anything is read.
 *
 * @param outputs The names of all outputs, as the user gave them. `undefined` is skipped.
 * @param printing What the command prints in addition, and whether it chooses names of files in the user's
 * folder itself.
 * @throws {UsageError} if several outputs would go to the standard output, or to the same file.
 * @throws {FileError} if an output is a folder or cannot be written.
 */
export async function checkOutputs(
  outputs: readonly (string | undefined)[],
  { json, namesFiles }: Printing & { readonly namesFiles?: boolean | undefined },
): Promise<void> {
  const paths = outputs.filter((output) => output !== undefined).map(outputPath);
  const streamed = paths.filter((path) => path === STDOUT).length;
  if (streamed > 1) {
    throw new UsageError("Cannot write two results to the standard output: give a file for one of them");
  }
  if (streamed > 0 && json) {
    throw new UsageError(
      "Cannot print JSON because a result goes to the standard output: give a file instead of -, or leave out --json",
    );
  }
  for (const path of paths) if (path !== STDOUT) await checkOutputFile(path);
  const files = new Set<string>();
  for (const path of paths) {
    if (path === STDOUT || await isStream(path)) continue;
    if (files.has(path)) {
      throw new UsageError(`Cannot write two results to "${path}": give each its own file`);
    }
    files.add(path);
  }
  if (namesFiles) await checkOutputFolder(userFolder());
}

/**
 * Checks that files of tensors have names that say so, because other programs would take them for pictures.
 *
 * @param outputs The names of the outputs, as the user gave them. `undefined` is skipped.
 * @throws {UsageError} if a name does not end in `.safetensors`. A pipe or a device can have any name.
 */
export async function checkTensorNames(outputs: readonly (string | undefined)[]): Promise<void> {
  for (const output of outputs) {
    if (output === undefined || isStdout(output) || output.endsWith(".safetensors")) continue;
    if (await isStream(outputPath(output))) continue;
    throw new UsageError(`Cannot write tensors to "${output}": give a name that ends in .safetensors`);
  }
}

/**
 * Writes a result.
 *
 * @param output The name of the output, as the user gave it.
 * @param chunks The content in pieces.
 * @returns The path, or `-` for the standard output, for {@linkcode printPaths}.
 * @throws {FileError} if the system cannot write the file.
 */
export async function writeOutput(
  output: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<string> {
  const path = outputPath(output);
  // A pipe's reader can stop reading, or never come. Then only the system's handling of signals ends the program.
  if (path === STDOUT || await isStream(path)) leaveInterrupts();
  if (path === STDOUT) await writeStdout(chunks);
  else await writeOutputFile(path, chunks);
  return path;
}

/**
 * Prints the paths of the written files: on the standard error if a result went to the standard output, else
 * on the standard output.
 *
 * @param paths The paths that {@linkcode writeOutput} returned.
 * @param printing What the command prints in addition to its results.
 */
export function printPaths(paths: readonly string[], { json, quiet }: Printing): void {
  const stream = paths.includes(STDOUT) ? stderr : stdout;
  for (const path of paths) {
    if (path === STDOUT) continue;
    if (json) writeLine(stream, JSON.stringify({ type: "file", path }));
    else if (!quiet) writeLine(stream, path);
  }
}
