/**
 * Files whose names come from a user. A symbolic link is written through to its target. A pipe or a device
 * takes what is written, and is never replaced by a file.
 *
 * @module
 */

import type { Stats } from "node:fs";
import { open, readlink, realpath, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { writeAtomically, writeChunks, type WriteOptions } from "./atomically.ts";
import { FileError, onDisk } from "./file_error.ts";

/** The system follows no more links than this to find a file. */
const MOST_LINKS = 40;

/** Where the content of a file goes. */
interface Destination {
  /** The file that is written, once all links have been followed. */
  readonly path: string;
  /**
   * How to open it where it must not be replaced; absent for a regular file, or one that does not exist
   * yet.
   */
  readonly openFlag?: "a" | "w";
}

/**
 * Writes a file under a name that a user gave. A regular file appears whole or not at all, and folders on
 * the way are made; a pipe or a device takes the content as it comes.
 *
 * @param path The file.
 * @param chunks Its content in pieces, at hand or as they come.
 * @param options How it is written.
 * @throws {FileError} if the system refuses.
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
 * Refuses a file that cannot be written, before the work that makes its content begins.
 *
 * @param path The file. It need not exist, nor its folder.
 * @throws {FileError} if it is a folder, or if nothing can be written to its folder.
 */
export async function checkOutputFile(path: string): Promise<void> {
  const destination = await findDestination(path);
  if (destination.openFlag === undefined) await checkOutputFolder(dirname(destination.path), path);
}

/**
 * Refuses a folder that no file can be written to. A file is made and removed again, as the mode of a
 * folder says too little: the system may be mounted read-only, and root may write to most folders.
 *
 * @param folder The folder. If it does not exist, the folder that it would be made in counts.
 * @param named What errors call it. Default is the folder.
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
 * Whether a file takes several contents one after the other: a pipe or a device does.
 *
 * @param path The file.
 */
export async function isStream(path: string): Promise<boolean> {
  return (await findDestination(path)).openFlag !== undefined;
}

/** Follows the links of a path, also those that lead to a file that does not exist yet. */
async function findDestination(path: string): Promise<Destination> {
  const found = await statIfThere(path, path);
  if (found?.isDirectory()) throw new FileError("write", path, "EISDIR");
  if (found && !found.isFile()) return { path, openFlag: "w" };
  let target = resolve(path);
  for (let links = 0; links <= MOST_LINKS; links++) {
    // A file that is open already, such as the target of a shell's redirection, keeps what others wrote to
    // it.
    if (found && isOpenFile(target)) return { path: target, openFlag: "a" };
    const next = await readlink(target).catch(() => undefined);
    if (next === undefined) return { path: found ? await onDisk("write", path, realpath(target)) : target };
    target = resolve(dirname(target), next);
  }
  throw new FileError("write", path, "ELOOP");
}

/** Whether a path names a file by a descriptor of a process that has opened it. */
function isOpenFile(path: string): boolean {
  return /^\/dev\/(?:fd\/|std(?:in|out|err)$)|^\/proc\/(?:self|\d+)\/fd\//.test(path);
}

/** What a path leads to; `undefined` where nothing is. */
async function statIfThere(path: string, named: string): Promise<Stats | undefined> {
  try {
    return await onDisk("write", named, stat(path));
  } catch (error) {
    if (error instanceof FileError && error.systemCode === "ENOENT") return undefined;
    throw error;
  }
}
