/**
 * Files whose names come from a user. A write through a symbolic link goes to its target. A pipe or a device
 * receives the content and is never replaced by a file.
 *
 * @module
 */

import type { Stats } from "node:fs";
import { open, readlink, realpath, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { writeAtomically, writeChunks, type WriteOptions } from "./atomic_write.ts";
import { FileError, onDisk } from "./file_error.ts";

/** Maximum number of links that operating systems follow to find a file. */
const MOST_LINKS = 40;

/** Destination of a file's content. */
interface Destination {
  /** The file to write, after all links have been followed. */
  readonly path: string;
  /** How to open it if it must not be replaced. Absent for a regular file, or one that does not exist yet. */
  readonly openFlag?: "a" | "w";
}

/**
 * Writes a file under a user's name. A regular file is written atomically, and missing folders are created. A
 * pipe or a device receives the content as it arrives.
 *
 * @param path The file.
 * @param chunks Its content in chunks, from memory or as a stream.
 * @param options How to write it.
 * @throws {FileError} if the operating system refuses.
 */
export async function writeOutputFile(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: WriteOptions = {},
): Promise<void> {
  const destination = await findDestination(path);
  if (destination.openFlag === undefined) return await writeAtomically(destination.path, chunks, options);
  const file = await onDisk("write", path, open(destination.path, destination.openFlag));
  try {
    await writeChunks(file, path, chunks, options.signal);
  } finally {
    await file.close();
  }
}

/**
 * Throws if a file cannot be written, before the work that produces its content starts.
 *
 * @param path The file. Neither it nor its folder need exist.
 * @throws {FileError} if it is a folder, or if nothing can be written to its folder.
 */
export async function checkOutputFile(path: string): Promise<void> {
  const destination = await findDestination(path);
  if (destination.openFlag === undefined) await checkOutputFolder(dirname(destination.path), path);
}

/**
 * Throws if no file can be written to a folder. Creates and removes a file, because the folder's mode is not
 * enough: the file system can be mounted read-only, and root can write to most folders.
 *
 * @param folder The folder. If it does not exist, the nearest existing parent is checked.
 * @param named Name for errors. The default is the folder.
 * @throws {FileError} if no file can be written to it.
 */
export async function checkOutputFolder(folder: string, named = folder): Promise<void> {
  let existing = folder;
  while (!await statIfThere(existing, named) && dirname(existing) !== existing) existing = dirname(existing);
  const probe = join(existing, `.pixstage-${crypto.randomUUID()}.partial`);
  await (await onDisk("write", named, open(probe, "wx"))).close();
  await onDisk("write", named, rm(probe, { force: true }));
}

/**
 * Returns whether a file is a pipe or a device, to which several results can be written in turn.
 *
 * @param path The file.
 */
export async function isStream(path: string): Promise<boolean> {
  const found = await statIfThere(path, path);
  return !found?.isDirectory() && (await findDestination(path)).openFlag !== undefined;
}

/** Follows the links of a path, including those to a file that does not exist yet. */
async function findDestination(path: string): Promise<Destination> {
  const found = await statIfThere(path, path);
  if (found?.isDirectory()) throw new FileError("write", path, "EISDIR");
  if (found && !found.isFile()) return { path, openFlag: "w" };
  let target = resolve(path);
  for (let links = 0; links <= MOST_LINKS; links++) {
    // A file that is already open, such as the target of a shell redirection, keeps what other processes
    // wrote to it.
    if (found && isOpenFile(target)) return { path: target, openFlag: "a" };
    const next = await readlink(target).catch(() => undefined);
    if (next === undefined) return { path: found ? await onDisk("write", path, realpath(target)) : target };
    target = resolve(dirname(target), next);
  }
  throw new FileError("write", path, "ELOOP");
}

/** Returns whether a path names a file by the descriptor of a process that has opened it. */
function isOpenFile(path: string): boolean {
  return /^\/dev\/(?:fd\/|std(?:in|out|err)$)|^\/proc\/(?:self|\d+)\/fd\//.test(path);
}

/** Returns the status of a path's target, or `undefined` if there is none. */
async function statIfThere(path: string, named: string): Promise<Stats | undefined> {
  try {
    return await onDisk("write", named, stat(path));
  } catch (error) {
    if (error instanceof FileError && error.systemCode === "ENOENT") return undefined;
    throw error;
  }
}
