/**
 * Reads text files of the user.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { onDisk } from "../disk/file_error.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Reads a text file. A byte order mark, which some editors write, is left out.
 *
 * @param path The file.
 * @param field The field that the option at fault sets, if an option names the file.
 * @throws {FileError} if the file cannot be read.
 * @throws {UsageError} if it is not UTF-8.
 */
export async function readTextFile(path: string, field?: string): Promise<string> {
  const bytes = await onDisk("read", path, readFile(path));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(`Cannot read "${path}" because it is not UTF-8 text: save it as UTF-8`, field);
  }
}
