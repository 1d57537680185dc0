/**
 * Downloads files of a model into the Hugging Face cache: several at a time, and none that does not fit.
 *
 * @module
 */

import { mkdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { onDisk } from "../artifacts/file_error.ts";
import type { CacheLayout } from "./cache_layout.ts";
import { bytesPresent, downloadBlob } from "./download_blob.ts";
import { type DownloadProgress, ProgressReport } from "./download_progress.ts";
import { HubError } from "./hub_error.ts";
import { hubFetch, type HubRequestContext } from "./hub_fetch.ts";
import type { HubSettings } from "./hub_settings.ts";
import type { RepositoryFile } from "./repository.ts";
import type { RetryOptions } from "./retry.ts";

/** How files are downloaded. */
export interface DownloadOptions extends RetryOptions {
  /**
   * Files that are downloaded at the same time.
   *
   * @default {3}
   */
  readonly concurrency?: number;
  /** Told how far the download is. */
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** Where files come from and go to. */
export interface DownloadPlace {
  /** The hub. */
  readonly settings: HubSettings;
  /** The model's place in the cache. */
  readonly layout: CacheLayout;
  /** The commit whose files they are. */
  readonly commit: string;
  /** What the requests are about. */
  readonly context: HubRequestContext;
}

const DEFAULT_CONCURRENCY = 3;

/**
 * Downloads files into the model's blobs. What is there already is not asked for.
 *
 * @param place Where they come from and go to.
 * @param files The files.
 * @param options How many at a time, and who is told of the progress.
 * @throws {HubError} if one cannot be had, or they do not fit; `code` says why.
 */
export async function downloadFiles(
  { settings, layout, commit, context }: DownloadPlace,
  files: readonly RepositoryFile[],
  options: DownloadOptions,
): Promise<void> {
  const { model } = context;
  const progress = new ProgressReport(files, options.onProgress);
  await checkRoom(layout, files, model);
  await inParallel(files, options, async (file, signal) => {
    await downloadBlob({
      model,
      file,
      url: `${settings.endpoint}/${model}/resolve/${commit}/${file.path}`,
      path: layout.blob(file.hash),
      linked: join(layout.snapshot(commit), file.path),
      lock: layout.lock(file.hash),
      fetch: hubFetch(settings, { ...context, signal, stallTimeout: settings.downloadTimeout }),
      onReceived: (bytes) => progress.received(file, bytes),
      retry: { ...options, signal },
    });
  });
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
    `Cannot download ${model}: it needs ${gigabytes(needed)}, but ${layout.root} has ${
      gigabytes(bavail * bsize)
    } left`,
    { advice: "Free some space, or set HF_HUB_CACHE to a folder on a larger disk" },
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
