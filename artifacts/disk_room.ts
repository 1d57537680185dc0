/**
 * Refuses at once to write what the disk has no room for.
 *
 * @module
 */

import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import prettyBytes from "pretty-bytes";
import { FileError, onDisk } from "./file_error.ts";

/**
 * Holds what a file needs against what is free on its disk.
 *
 * @param path The file; its folder must be there.
 * @param bytes What is going to be written.
 * @param advice What to do beside freeing space, as a sentence.
 * @throws {FileError} with the code `disk_full` if less is free.
 */
export async function checkRoom(path: string, bytes: number, advice?: string): Promise<void> {
  const { bavail, bsize } = await onDisk("write", path, statfs(dirname(path)));
  const free = bavail * bsize;
  if (free >= bytes) return;
  // So many digits that the two differ.
  const [needed, left] = [bytes, free].map((size) => prettyBytes(size, { maximumFractionDigits: 3 }));
  const need = `${needed} are needed, ${left} are free`;
  throw new FileError("write", path, "ENOSPC", { advice: advice ? `${need}. ${advice}` : need });
}
