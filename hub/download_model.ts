/**
 * Downloads a model from the hub into the Hugging Face cache.
 *
 * @module
 */

import { mkdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { onDisk } from "../artifacts/file_error.ts";
import { COMPONENT_NAMES, type ComponentName, parseModelIndex } from "../models/checkpoint/model_index.ts";
import { type CacheLayout, cacheLayout, linkBlob, readRef, writeRef } from "./cache_layout.ts";
import { holdsDeclaredComponents, missingFromSnapshot, type Needs } from "./cached_model.ts";
import { bytesPresent, downloadBlob } from "./download_blob.ts";
import { COMMIT } from "./commit.ts";
import { type DownloadProgress, ProgressReport } from "./download_progress.ts";
import { HubError } from "./hub_error.ts";
import { hubFetch, type HubRequestContext } from "./hub_fetch.ts";
import { type HubOptions, type HubSettings, hubSettings } from "./hub_settings.ts";
import { mainFile, smallFiles, weightPaths } from "./needed_files.ts";
import { readRepository, type Repository, type RepositoryFile } from "./repository.ts";
import { repositorySource } from "./repository_source.ts";
import type { RetryOptions } from "./retry.ts";

/** How a model is downloaded. */
export interface DownloadOptions extends HubOptions, RetryOptions {
  /**
   * The branch, tag or commit.
   *
   * @default {"main"}
   */
  readonly revision?: string;
  /** The variant of the weights: `fp16`. Default is the plain weights. */
  readonly variant?: string;
  /** Which components to fetch the weights of. Default is all. */
  readonly components?: readonly ComponentName[];
  /**
   * Files that are downloaded at the same time.
   *
   * @default {3}
   */
  readonly concurrency?: number;
  /** Told how far the download is. */
  readonly onProgress?: (progress: DownloadProgress) => void;
}

const REVISION = /^(?!.*(^|\/)\.{1,2}(\/|$))[^/\\\s:][^\\\s:]*$/;
const DEFAULT_CONCURRENCY = 3;

/**
 * Gives the folder of a model, downloading what is missing of it.
 *
 * @param model The model: `PixArt-alpha/PixArt-Sigma-XL-2-512-MS`.
 * @param options Which revision and variant, where the cache is, who is told of the progress.
 * @returns The snapshot's folder in the cache.
 * @throws {HubError} if it cannot be had; `code` says why.
 * @throws {UnsupportedArchitectureError} if it is not of PixArt; no weights were downloaded then.
 */
export async function downloadModel(model: string, options: DownloadOptions = {}): Promise<string> {
  const { revision = "main", signal, stallTimeout } = options;
  if (!REVISION.test(revision)) {
    throw new RangeError(
      `Cannot download ${model} as revision must be a branch, tag or commit: current value is ${revision}`,
    );
  }
  const settings = await hubSettings(options);
  const layout = cacheLayout(settings.cacheDir, model);
  const needs = { components: options.components ?? COMPONENT_NAMES, variant: options.variant ?? "" };
  const context = {
    model,
    revision,
    ...(signal ? { signal } : {}),
    ...(stallTimeout === undefined ? {} : { stallTimeout }),
  };

  if (settings.localFilesOnly) return await fromCache(layout, context, needs, settings);
  // A commit never changes, so that one that is there needs no network.
  if (
    COMMIT.test(revision) && await missingFromSnapshot(layout, revision, needs) === undefined &&
    await holdsDeclaredComponents(layout, revision, needs)
  ) return layout.snapshot(revision);

  let repository: Repository;
  try {
    repository = await readRepository(settings, context, options);
  } catch (error) {
    if (!(error instanceof HubError) || error.code !== "unreachable") throw error;
    return await fromCache(layout, context, needs, settings).catch(() => {
      throw error;
    });
  }
  return await downloadSnapshot(repository, layout, context, needs, settings, options);
}

async function fromCache(
  layout: CacheLayout,
  { model, revision }: HubRequestContext,
  needs: Needs,
  { cacheDir }: HubSettings,
): Promise<string> {
  const commit = await readRef(layout, revision);
  const missing = commit === undefined
    ? `revision ${revision} was never fetched`
    : await missingFromSnapshot(layout, commit, needs);
  if (commit !== undefined && missing === undefined) return layout.snapshot(commit);
  throw new HubError(
    "offline",
    `Cannot use ${model} offline as the cache ${cacheDir} must hold it: ${missing}. ` +
      "Unset HF_HUB_OFFLINE and localFilesOnly to download it",
  );
}

async function downloadSnapshot(
  repository: Repository,
  layout: CacheLayout,
  context: HubRequestContext,
  needs: Needs,
  settings: HubSettings,
  options: DownloadOptions,
): Promise<string> {
  const { model } = context;
  const { commit, files } = repository;
  const snapshot = layout.snapshot(commit);
  const progress = new ProgressReport(options.onProgress);

  const download = async (paths: readonly string[]): Promise<void> => {
    const wanted = paths.map((path) => files.get(path)).filter((file) => file !== undefined);
    progress.expect(wanted);
    await checkRoom(layout, wanted, model);
    await inParallel(wanted, options, async (file, signal) => {
      await downloadBlob({
        model,
        file,
        url: `${settings.endpoint}/${model}/resolve/${commit}/${file.path}`,
        path: layout.blob(file.hash),
        lock: layout.lock(file.hash),
        fetch: hubFetch(settings, { ...context, signal }),
        onReceived: (bytes) => progress.received(file, bytes),
        retry: { ...options, signal },
      });
    });
  };
  const put = async (path: string): Promise<void> => {
    const hash = files.get(path)?.hash;
    if (hash !== undefined) await linkBlob(layout.blob(hash), join(snapshot, path));
  };

  // 1. Small files: they tell whether this is a model to fetch, and which files hold its weights.
  const small = smallFiles((path) => files.has(path), needs.variant);
  const main = mainFile((path) => files.has(path));
  if (main === undefined) {
    throw new HubError(
      "unsupported",
      `Cannot use ${model} as it must be in diffusers' folder layout, with model_index.json or config.json: ` +
        `current files are ${[...files.keys()].slice(0, 10).join(", ") || "none"}`,
    );
  }
  await download(small);
  const source = repositorySource(model, repository, layout.blob);
  if (main === "model_index.json") parseModelIndex(await source.readText(main), `${model}/${main}`);

  // 2. Weights.
  const weights = await weightPaths(source, needs.components, needs.variant);
  await download(weights);

  // 3. The snapshot, its main file last: a snapshot that has one is whole.
  for (const path of [...weights, ...small]) await put(path);
  await writeRef(layout, context.revision, commit);
  return snapshot;
}

/** Refuses a download that does not fit, before its first byte. */
async function checkRoom(
  layout: CacheLayout,
  files: readonly RepositoryFile[],
  model: string,
): Promise<void> {
  await onDisk("write", layout.root, mkdir(layout.root, { recursive: true }));
  let needed = 0;
  for (const { hash, size } of files) needed += size - await bytesPresent(layout.blob(hash), size);
  const { bavail, bsize } = await statfs(layout.root);
  if (needed <= bavail * bsize) return;
  throw new HubError(
    "disk_full",
    `Cannot download ${model} as ${gigabytes(needed)} must be free in ${layout.root}: current value is ${
      gigabytes(bavail * bsize)
    }. Free some space, or set HF_HUB_CACHE to a folder on a larger disk`,
  );
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

/** Works on several files at once. The first failure stops the others; they leave what they have for the next try. */
async function inParallel(
  files: readonly RepositoryFile[],
  { concurrency = DEFAULT_CONCURRENCY, signal }: DownloadOptions,
  work: (file: RepositoryFile, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any(signal ? [signal, failed.signal] : [failed.signal]);
  const queue = files.values();
  const worker = async (): Promise<void> => {
    for (const file of queue) {
      either.throwIfAborted();
      await work(file, either);
    }
  };
  const workers = Array.from(
    { length: Math.min(concurrency, files.length) },
    () =>
      worker().catch((error) => {
        failed.abort(error);
        throw error;
      }),
  );
  await Promise.allSettled(workers);
  either.throwIfAborted();
}
