/**
 * The Hugging Face cache, `models--org--name/{refs,blobs,snapshots}`, and the commits in it. Blobs are named
 * by their hash; a snapshot is a folder of links to them. Python's `huggingface_hub` reads and writes the
 * same layout.
 *
 * Source: `huggingface_hub/file_download.py`.
 *
 * @module
 */

import { link, mkdir, readFile, readlink, rename, rm, stat, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { writeAtomically } from "../disk/atomic_write.ts";
import { replaceFile } from "../disk/replace_file.ts";
import { FileError, onDisk } from "../disk/file_error.ts";
import { listNames } from "../errors/list_names.ts";
import { parseModelIndex } from "../models/checkpoint/model_index.ts";
import type { CheckpointSource } from "../models/checkpoint/source.ts";
import type { WantedWeights, WeightFiles } from "../models/checkpoint/weight_files.ts";
import {
  componentVariants,
  componentWeights,
  heldWeights,
  mainFile,
  smallFiles,
} from "./checkpoint_files.ts";
import { type Download, downloadFiles, type DownloadOptions, hasFile } from "./download.ts";
import { HubError } from "./hub_error.ts";
import { hubFetch, type HubRequestContext } from "./hub_fetch.ts";
import type { HubSettings } from "./hub_settings.ts";
import { COMMIT, type Repository, type RepositoryFile, repositorySource } from "./repository.ts";

/** The paths of a cached model. */
export interface CacheLayout {
  /** The model's folder. */
  readonly root: string;
  /** The path of a blob. */
  blob(hash: string): string;
  /** The path of the file that a writer of a blob locks. */
  lock(hash: string): string;
  /** The folder of a commit's snapshot. */
  snapshot(commit: string): string;
}

/**
 * Returns the paths of a model in the cache.
 *
 * @param cacheDir The cache folder.
 * @param model The model, e.g. `org/name`.
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
 * Returns the name of the model whose snapshot a folder is.
 *
 * @param folder The absolute path of a folder.
 * @returns E.g. `org/name`, or `undefined` if the folder is not a snapshot in a cache.
 */
export function snapshotModel(folder: string): string | undefined {
  const [repository = "", snapshots, commit = ""] = folder.split(/[/\\]/).slice(-3);
  const [kind, ...name] = repository.split("--");
  return kind === "models" && snapshots === "snapshots" && COMMIT.test(commit) ? name.join("/") : undefined;
}

/** Reads the commit that a revision pointed to when it was last fetched, or `undefined` if it never was. */
export async function readRef(layout: CacheLayout, revision: string): Promise<string | undefined> {
  if (COMMIT.test(revision)) return revision;
  const text = await readFile(join(layout.root, "refs", revision), "utf8").catch(() => "");
  return COMMIT.test(text.trim()) ? text.trim() : undefined;
}

/** Writes the commit that a revision points to. */
async function writeRef(layout: CacheLayout, revision: string, commit: string): Promise<void> {
  if (revision === commit) return;
  await writeAtomically(join(layout.root, "refs", revision), [new TextEncoder().encode(commit)]);
}

/** The model and the cache that a {@linkcode CachedCommit} belongs to. */
export interface CachedModel {
  /** The hub and the cache folder. */
  readonly settings: HubSettings;
  /** The model's paths. */
  readonly layout: CacheLayout;
  /** The model and the requested revision. */
  readonly context: HubRequestContext;
  /** Options for downloads. */
  readonly options: DownloadOptions;
}

/** The snapshot of a commit. Files are fetched from the hub as they are needed. */
export class CachedCommit {
  /** The files of the commit on the hub. */
  readonly repository: Repository;
  readonly #model: CachedModel;
  readonly #folder: string;

  /**
   * @param model The model and the cache.
   * @param repository The files of the commit on the hub.
   */
  constructor(model: CachedModel, repository: Repository) {
    this.repository = repository;
    this.#model = model;
    this.#folder = model.layout.snapshot(repository.commit);
  }

  /**
   * Fetches the configurations, the tokenizer and the indices of sharded weights.
   *
   * @param variant The variant of the weights; `""` for the plain ones.
   * @param signal Stops the downloads.
   * @throws {HubError} if a file cannot be fetched.
   * @throws {UnsupportedArchitectureError} if its architecture is not PixArt.
   * @throws {MissingVariantError} if no component has the variant.
   */
  async fetchSmallFiles(variant: string, signal: AbortSignal | undefined): Promise<void> {
    const { files } = this.repository;
    const { model } = this.#model.context;
    const has = (path: string): boolean => files.has(path);
    const main = mainFile(has);
    if (main === undefined) {
      throw new HubError(
        "unsupported",
        `Cannot use ${model}: it must be in diffusers' folder layout, with model_index.json, or config.json of a ` +
          `component, but it contains ${listNames(files.keys())}`,
      );
    }
    const missing = await this.#missing(smallFiles(has, variant));
    await this.#download(missing, signal);
    // The main file is linked last, so a snapshot only appears as a checkpoint once it is usable.
    const source = this.#source();
    if (main === "model_index.json") parseModelIndex(await source.readText(main), `${model}/${main}`);
    await componentVariants(source, variant);
    await this.#link(missing);
  }

  /**
   * Fetches the weights of a component.
   *
   * @param wanted The component, its folder, `""` if the repository contains only that component, and the
   * variant.
   * @param signal Stops the downloads.
   * @returns The files, all of them in the snapshot.
   * @throws {HubError} if a file cannot be fetched.
   */
  async fetchWeights(wanted: WantedWeights, signal: AbortSignal | undefined): Promise<WeightFiles> {
    const weights = await componentWeights(this.#source(), wanted);
    await this.fetchFiles(weights.paths, signal);
    return weights;
  }

  /**
   * Fetches files into the snapshot.
   *
   * @param paths Their paths in the repository.
   * @param signal Stops the downloads.
   * @throws {HubError} if a file cannot be fetched.
   */
  async fetchFiles(paths: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const missing = await this.#missing(paths);
    await this.#download(missing, signal);
    await this.#link(missing);
  }

  /** Returns the commit as the hub lists it. Downloaded files can be read. */
  #source(): CheckpointSource {
    const { layout, context } = this.#model;
    return repositorySource(context.model, this.repository, async ({ path, hash }) => {
      const blob = await readFile(layout.blob(hash)).catch(() => undefined);
      // A snapshot contains files instead of links on file systems without links, and in copies of a cache.
      const file = join(this.#folder, path);
      return blob ?? await onDisk("read", file, readFile(file));
    });
  }

  /** Returns the files that the snapshot lacks. */
  async #missing(paths: readonly string[]): Promise<readonly RepositoryFile[]> {
    const files = paths.map((path) => this.repository.files.get(path)).filter((file) => file !== undefined);
    const present = await Promise.all(files.map(({ path, size }) => hasFile(join(this.#folder, path), size)));
    return files.filter((_file, i) => !present[i]);
  }

  async #download(files: readonly RepositoryFile[], signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (files.length === 0) return;
    const { settings, layout, context, options } = this.#model;
    const { model } = context;
    const source = {
      model,
      root: layout.root,
      fetch: (signal: AbortSignal) =>
        hubFetch(settings, { ...context, signal, stallTimeout: settings.downloadTimeout }),
    };
    const downloads = files.map((file): Download => ({
      file,
      url: `${settings.endpoint}/${model}/resolve/${this.repository.commit}/${file.path}`,
      blob: layout.blob(file.hash),
      linked: join(this.#folder, file.path),
      lock: layout.lock(file.hash),
    }));
    try {
      await downloadFiles(source, downloads, { ...options, signal });
    } catch (cause) {
      if (!isReadOnly(cause)) throw cause;
      throw new HubError(
        "read_only",
        `Cannot download ${model}: the cache ${settings.cacheDir} cannot be written (${cause.systemCode})`,
        { advice: "Set HF_HUB_CACHE to a folder that can be written", cause },
      );
    }
  }

  /** Links files into the snapshot, and points the revision to it. */
  async #link(files: readonly RepositoryFile[]): Promise<void> {
    const { layout, context: { revision } } = this.#model;
    const { commit } = this.repository;
    for (const { path, hash } of files) await linkBlob(layout.blob(hash), join(this.#folder, path));
    const former = await readRef(layout, revision);
    if (former === commit) return;
    // Offline, the revision points to the commit of its ref, which must not have fewer weights than the
    // former one.
    if (former !== undefined && !await holdsAllOf(this.#folder, layout.snapshot(former))) return;
    try {
      await writeRef(layout, revision, commit);
    } catch (error) {
      // The files of a read-only cache are usable without the link.
      if (!isReadOnly(error)) throw error;
    }
  }
}

/** Returns whether a folder has all the weights of another one. */
async function holdsAllOf(folder: string, other: string): Promise<boolean> {
  const [here, there] = await Promise.all([heldWeights(folder), heldWeights(other)]);
  return [...there].every(([component, variants]) =>
    variants.every((variant) => here.get(component)?.includes(variant))
  );
}

/** Returns whether a file could not be written because its folder is read-only. */
function isReadOnly(error: unknown): error is FileError {
  return error instanceof FileError && ["EROFS", "EACCES", "EPERM"].includes(error.systemCode);
}

/**
 * Links a blob into a snapshot. Other processes may be reading through the same link: a correct link stays,
 * and a wrong one is replaced in one step. If the file system has no links, the file itself moves into the
 * snapshot, as with Python's `huggingface_hub`.
 *
 * @param blob Path of the blob.
 * @param path Path in the snapshot.
 */
async function linkBlob(blob: string, path: string): Promise<void> {
  const target = relative(dirname(path), blob);
  if (await readlink(path).catch(() => undefined) === target) return;
  await onDisk("write", path, mkdir(dirname(path), { recursive: true }));
  const temporary = `${blob}.${crypto.randomUUID()}.link`;
  try {
    // On Windows, only some users can create symbolic links.
    const isLinked = await symlink(target, temporary).catch(() => link(blob, temporary))
      .then(() => true, () => false);
    if (isLinked) await onDisk("write", path, replaceFile(temporary, path));
    else await moveInto(path, blob);
  } finally {
    // Renaming a hard link to another one of the same file leaves both in place.
    await rm(temporary, { force: true });
  }
}

/** Moves a file, unless another process has moved it already. */
async function moveInto(path: string, file: string): Promise<void> {
  try {
    await onDisk("write", path, rename(file, path));
  } catch (error) {
    const isMoved = await stat(path).then(() => true, () => false);
    if (!isMoved) throw error;
  }
}
