/**
 * Checks free disk space before a write.
 *
 * @module
 */

import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import prettyBytes from "pretty-bytes";
import { FileError, onDisk } from "./file_error.ts";

/**
 * Checks that the disk has enough free space for a file.
 *
 * @param path The file. Its folder must exist.
 * @param bytes Number of bytes to write.
 * @param advice What else to do besides freeing space, as a sentence.
 * @throws {FileError} with the code `disk_full` if less is free.
 */
export async function checkFreeSpace(path: string, bytes: number, advice?: string): Promise<void> {
  const { bavail, bsize } = await onDisk("write", path, statfs(dirname(path)));
  const free = bavail * bsize;
  if (free >= bytes) return;
  // Enough digits that the two sizes differ.
  const [needed, left] = [bytes, free].map((size) => prettyBytes(size, { maximumFractionDigits: 3 }));
  const need = `${needed} are needed, ${left} are free`;
  throw new FileError("write", path, "ENOSPC", { advice: advice ? `${need}. ${advice}` : need });
}
