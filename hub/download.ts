/**
 * Downloads files into the cache: several at a time, resumed where an earlier attempt ended, and verified by
 * hash.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rm, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import pMap from "p-map";
import prettyBytes from "pretty-bytes";
import { z } from "zod";
import { onDisk } from "../disk/file_error.ts";
import { lockFile } from "../disk/file_lock.ts";
import { replaceFile } from "../disk/replace_file.ts";
import { HubError, unreachable } from "./hub_error.ts";
import { type RetryOptions, withRetries } from "./hub_fetch.ts";
import type { RepositoryFile } from "./repository.ts";

/** Options for downloads. */
export interface DownloadOptions extends RetryOptions {
  /**
   * Number of files to download at the same time.
   *
   * @default {3}
   */
  readonly concurrency?: number | undefined;
  /** Called with the progress of each file, at most ten times per second, and with its end. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

/** The schema of {@linkcode DownloadProgress}. */
export const downloadProgressSchema = z.object({
  /** The file. */
  file: z.string(),
  /** Received bytes of the file. */
  received: z.number(),
  /** Size of the file in bytes. */
  total: z.number(),
  /** Received bytes of all files. */
  allReceived: z.number(),
  /** Size of all files that are fetched together: the small ones, or all files of a component. */
  allTotal: z.number(),
});

/** The progress of a download, in bytes. Files that were in the cache count as received. */
export type DownloadProgress = Readonly<z.infer<typeof downloadProgressSchema>>;

/** A file to download, and its place in the cache. */
export interface Download {
  /** The file. */
  readonly file: RepositoryFile;
  /** URL of the file on the hub. */
  readonly url: string;
  /** The path of its blob. */
  readonly blob: string;
  /** Path of the file in the snapshot. If the file system has no links, this is the file itself. */
  readonly linked: string;
  /** The file that a writer of the blob locks. */
  readonly lock: string;
}

/** The model that the files belong to. */
export interface DownloadSource {
  /** The model, e.g. `org/name`. */
  readonly model: string;
  /** The model's folder in the cache. */
  readonly root: string;
  /** Creates a `fetch` that throws a `HubError` unless the status is a success. */
  readonly fetch: (signal: AbortSignal) => typeof fetch;
}

const SHA256_DIGITS = 64;
const PROGRESS_INTERVAL_MS = 100;

/**
 * Downloads files. Existing blobs are not requested. Downloads that do not fit on the disk are refused.
 *
 * @param source The model.
 * @param downloads The files.
 * @param options How many at a time, and how often to retry.
 * @throws {HubError} if a file cannot be fetched, or the files do not fit. `code` is the kind of failure.
 * @throws {FileError} if a file cannot be written.
 */
export async function downloadFiles(
  source: DownloadSource,
  downloads: readonly Download[],
  options: DownloadOptions,
): Promise<void> {
  const { concurrency = 3, signal, onProgress } = options;
  await checkDiskSpace(source, downloads);
  const report = progressReport(downloads, onProgress);
  const failed = new AbortController();
  const stop = AbortSignal.any(signal ? [signal, failed.signal] : [failed.signal]);
  const download = async (item: Download): Promise<void> => {
    try {
      stop.throwIfAborted();
      await downloadFile(source, item, { ...options, signal: stop }, (bytes) => report(item.file, bytes));
    } catch (error) {
      // The first failure stops the others, which keep their partial files for the next attempt.
      failed.abort(error);
    }
  };
  await pMap(downloads, download, { concurrency });
  stop.throwIfAborted();
}

/**
 * Returns whether a file is complete. A blob is only renamed to its final name when it is complete, so
 * checking the size is enough.
 */
export async function hasFile(path: string, size: number): Promise<boolean> {
  return await sizeOf(path) === size;
}

/** Throws if the downloads do not fit on the disk, before their first byte. */
async function checkDiskSpace(
  { model, root }: DownloadSource,
  downloads: readonly Download[],
): Promise<void> {
  await onDisk("write", root, mkdir(root, { recursive: true }));
  let needed = 0;
  for (const { file: { size }, blob } of downloads) {
    const present = await hasFile(blob, size) ? size : await sizeOf(incompletePath(blob)) ?? 0;
    needed += size - Math.min(present, size);
  }
  const { bavail, bsize } = await statfs(root);
  if (needed <= bavail * bsize) return;
  const amount = (bytes: number): string => prettyBytes(bytes, { maximumFractionDigits: 3 });
  throw new HubError(
    "disk_full",
    `Cannot download ${model}: it needs ${amount(needed)}, but ${root} has ${amount(bavail * bsize)} left`,
    { advice: "Free some space, or set HF_HUB_CACHE to a folder on a larger disk" },
  );
}

/** Returns a function that adds up the received bytes of files and reports them. */
function progressReport(
  downloads: readonly Download[],
  onProgress: DownloadOptions["onProgress"],
): (file: RepositoryFile, received: number) => void {
  const allTotal = downloads.reduce((sum, { file }) => sum + file.size, 0);
  const receivedOf = new Map<string, number>();
  const reportedAt = new Map<string, number>();
  let allReceived = 0;
  return ({ path: file, size: total }, received) => {
    const before = receivedOf.get(file);
    if (before === received) return;
    receivedOf.set(file, received);
    allReceived += received - (before ?? 0);
    const now = performance.now();
    const last = reportedAt.get(file) ?? -Infinity;
    if (received < total && now - last < PROGRESS_INTERVAL_MS) return;
    reportedAt.set(file, now);
    onProgress?.({ file, received, total, allReceived, allTotal });
  };
}

/** The download of one file. */
interface FileDownload extends Download {
  readonly model: string;
  readonly fetch: typeof fetch;
  readonly retry: RetryOptions;
  readonly onReceived: (bytes: number) => void;
}

async function downloadFile(
  source: DownloadSource,
  download: Download,
  retry: RetryOptions & { readonly signal: AbortSignal },
  onReceived: (bytes: number) => void,
): Promise<void> {
  const { file, blob, linked } = download;
  using _lock = await lockFile(download.lock, retry.signal);
  if (!await hasFile(blob, file.size) && !await hasFile(linked, file.size)) {
    await onDisk("write", blob, mkdir(dirname(blob), { recursive: true }));
    const incomplete = incompletePath(blob);
    const whole = { ...download, model: source.model, fetch: source.fetch(retry.signal), retry, onReceived };
    try {
      await fetchVerified(whole, incomplete);
    } catch (error) {
      if (!(error instanceof HubError) || error.code !== "corrupt") throw error;
      // The partial file of an earlier attempt may be damaged: start over once.
      await fetchVerified(whole, incomplete);
    }
    await onDisk("write", blob, replaceFile(incomplete, blob));
  }
  onReceived(file.size);
}

/** Completes the partial file, and removes it if its hash is wrong. */
async function fetchVerified(download: FileDownload, incomplete: string): Promise<void> {
  const { file, model, retry } = download;
  const state = await readIncomplete(incomplete, file);
  await withRetries((progress) => receive(download, incomplete, state, progress), retry);
  const hash = state.hash.digest("hex");
  if (hash === file.hash) return;
  await rm(incomplete, { force: true });
  throw new HubError(
    "corrupt",
    `Cannot download ${model}: the hash of ${file.path} is ${hash}, but the hub announced ${file.hash}`,
    { advice: "The file was not kept. Try again" },
  );
}

/** The state of a download: the bytes on disk, and their hash. */
interface Progress {
  size: number;
  hash: Hash;
}

/** Reads the partial file of an earlier attempt. */
async function readIncomplete(incomplete: string, file: RepositoryFile): Promise<Progress> {
  const present = await sizeOf(incomplete) ?? 0;
  const state = emptyProgress(file);
  if (present === 0) return state;
  if (present > file.size) {
    await rm(incomplete);
    return state;
  }
  for await (const chunk of createReadStream(incomplete)) state.hash.update(chunk as Uint8Array);
  state.size = present;
  return state;
}

/** The name of a file outside LFS is the hash of its git blob, which starts with its size. */
function emptyProgress({ hash, size }: RepositoryFile): Progress {
  if (hash.length === SHA256_DIGITS) return { size: 0, hash: createHash("sha256") };
  return { size: 0, hash: createHash("sha1").update(`blob ${size}\0`) };
}

/** Requests the missing part once. */
async function receive(
  { file, model, url, fetch, onReceived, retry }: FileDownload,
  incomplete: string,
  state: Progress,
  progress: () => void,
): Promise<void> {
  const handle = await onDisk("write", incomplete, open(incomplete, "a"));
  try {
    onReceived(state.size);
    if (state.size < file.size) {
      const headers = new Headers({ "Accept-Encoding": "identity" });
      if (state.size > 0) headers.set("Range", `bytes=${state.size}-`);
      const response = await fetch(url, { headers });
      if (state.size > 0 && !continuesAt(response, state.size)) {
        // The server sends the file from the start.
        await handle.truncate(0);
        Object.assign(state, emptyProgress(file));
      }
      for await (const chunk of response.body ?? []) {
        await append(handle, incomplete, chunk);
        state.hash.update(chunk);
        state.size += chunk.length;
        progress();
        onReceived(Math.min(state.size, file.size));
        if (state.size > file.size) break;
      }
      retry.signal?.throwIfAborted();
    }
    if (state.size < file.size) {
      const reason = `${file.path} ended after ${state.size} of ${file.size} bytes`;
      throw unreachable(model, new URL(url), new Error(reason));
    }
    await onDisk("write", incomplete, handle.sync());
  } finally {
    await handle.close();
  }
}

function continuesAt(response: Response, start: number): boolean {
  return response.status === 206 &&
    response.headers.get("Content-Range")?.startsWith(`bytes ${start}-`) === true;
}

async function append(handle: FileHandle, path: string, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.length;) {
    offset += (await onDisk("write", path, handle.write(chunk, offset))).bytesWritten;
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return await stat(path).then(({ size }) => size, () => undefined);
}

function incompletePath(path: string): string {
  return `${path}.incomplete`;
}
