/**
 * The Hugging Face cache: `models--org--name/{refs,blobs,snapshots}`. Blobs are named by their hash; a snapshot is a
 * folder of links to them. Python's `huggingface_hub` reads and writes the same.
 *
 * Source: `huggingface_hub/file_download.py`.
 *
 * @module
 */

import { link, mkdir, readFile, readlink, rename, rm, stat, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { writeAtomically } from "../artifacts/atomically.ts";
import { onDisk } from "../artifacts/file_error.ts";
import { COMMIT } from "./commit.ts";

/** Where the parts of a cached model lie. */
export interface CacheLayout {
  /** The model's folder. */
  readonly root: string;
  /** Path of a blob. */
  blob(hash: string): string;
  /** Path of the file that whoever writes a blob holds locked. */
  lock(hash: string): string;
  /** The folder of a commit's snapshot. */
  snapshot(commit: string): string;
}

/**
 * Lays out the cache of a model.
 *
 * @param cacheDir The cache folder.
 * @param model The model: `org/name`.
 * @returns The paths.
 */
export function cacheLayout(cacheDir: string, model: string): CacheLayout {
  const name = `models--${model.replaceAll("/", "--")}`;
  const root = join(cacheDir, name);
  return {
    root,
    blob: (hash) => join(root, "blobs", hash),
    lock: (hash) => join(cacheDir, ".locks", name, `${hash}.lock`),
    snapshot: (commit) => join(root, "snapshots", commit),
  };
}

/**
 * Names the model whose snapshot a folder is.
 *
 * @param folder The absolute path of a folder.
 * @returns `org/name`; `undefined` if it is not the snapshot of a cache.
 */
export function snapshotModel(folder: string): string | undefined {
  const [repository = "", snapshots, commit = ""] = folder.split(/[/\\]/).slice(-3);
  const [kind, ...name] = repository.split("--");
  return kind === "models" && snapshots === "snapshots" && COMMIT.test(commit) ? name.join("/") : undefined;
}

/**
 * Puts a blob into a snapshot, as a link. Other processes may be reading through the same link: a link that is right stays,
 * and a new one takes its place in one step. Where the file system has no links, the file itself moves into the snapshot,
 * as Python's `huggingface_hub` moves it.
 *
 * @param blob Path of the blob.
 * @param path Path in the snapshot.
 */
export async function linkBlob(blob: string, path: string): Promise<void> {
  const target = relative(dirname(path), blob);
  if (await readlink(path).catch(() => undefined) === target) return;
  await onDisk("write", path, mkdir(dirname(path), { recursive: true }));
  const temporary = `${blob}.${crypto.randomUUID()}.link`;
  try {
    // Windows lets only some users make symbolic links.
    const isLinked = await symlink(target, temporary).catch(() => link(blob, temporary))
      .then(() => true, () => false);
    if (isLinked) await onDisk("write", path, rename(temporary, path));
    else await moveInto(path, blob);
  } finally {
    // Renaming one hard link to another of the same file leaves both.
    await rm(temporary, { force: true });
  }
}

/** Moves a file, unless another process has moved it there already. */
async function moveInto(path: string, file: string): Promise<void> {
  try {
    await onDisk("write", path, rename(file, path));
  } catch (error) {
    const isMoved = await stat(path).then(() => true, () => false);
    if (!isMoved) throw error;
  }
}

/** The commit that a revision stood for when it was last fetched; `undefined` where it never was. */
export async function readRef(layout: CacheLayout, revision: string): Promise<string | undefined> {
  if (COMMIT.test(revision)) return revision;
  const text = await readFile(join(layout.root, "refs", revision), "utf8").catch(() => "");
  return COMMIT.test(text.trim()) ? text.trim() : undefined;
}

/** Notes the commit that a revision stands for. */
export async function writeRef(layout: CacheLayout, revision: string, commit: string): Promise<void> {
  if (revision === commit) return;
  await writeAtomically(join(layout.root, "refs", revision), [new TextEncoder().encode(commit)]);
}
