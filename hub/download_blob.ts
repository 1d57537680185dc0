/**
 * Downloads one file into the cache: goes on where an earlier try ended, and keeps nothing whose hash is wrong.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { onDisk } from "../artifacts/file_error.ts";
import { lockFile } from "../artifacts/file_lock.ts";
import { HubError } from "./hub_error.ts";
import { unreachable } from "./hub_fetch.ts";
import type { RepositoryFile } from "./repository.ts";
import { type RetryOptions, withRetries } from "./retry.ts";

const SHA256_DIGITS = 64;

/** A file to download. */
export interface BlobRequest {
  /** What it is, for errors: `org/name`. */
  readonly model: string;
  /** The file. */
  readonly file: RepositoryFile;
  /** Where it is on the hub. */
  readonly url: string;
  /** Where it goes. */
  readonly path: string;
  /** Its path in the snapshot, where it lies itself if the file system has no links. */
  readonly linked: string;
  /** The file that whoever writes it holds locked. */
  readonly lock: string;
  /** Fetches; throws `HubError` unless the status is one of success. */
  readonly fetch: typeof fetch;
  /** Told the bytes that are there, whenever there are more. */
  readonly onReceived: (bytes: number) => void;
  /** How often to try again. */
  readonly retry: RetryOptions;
}

/** Whether a blob is there in full. Blobs get their name when they are whole, so that the size tells enough. */
export async function hasBlob(path: string, size: number): Promise<boolean> {
  return await sizeOf(path) === size;
}

/** How much of a blob is there, whole or in part. */
export async function bytesPresent(path: string, size: number): Promise<number> {
  if (await hasBlob(path, size)) return size;
  return Math.min(await sizeOf(incompletePath(path)) ?? 0, size);
}

/**
 * Downloads a file.
 *
 * @param request The file, and where it goes.
 * @throws {HubError} if it cannot be reached or comes with other bytes than announced.
 * @throws {FileError} if it cannot be written.
 */
export async function downloadBlob(request: BlobRequest): Promise<void> {
  const { path, file, retry, onReceived } = request;
  using _lock = await lockFile(request.lock, retry.signal);
  if (!await hasBlob(path, file.size) && !await hasBlob(request.linked, file.size)) {
    await mkdirFor(path);
    const incomplete = incompletePath(path);
    try {
      await fetchVerified(request, incomplete);
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      // What an earlier try left may be at fault, so it gets one fresh start.
      await fetchVerified(request, incomplete);
    }
    await onDisk("write", path, rename(incomplete, path));
  }
  onReceived(file.size);
}

/** Brings the incomplete file to its full size, and removes it if its hash is wrong. */
async function fetchVerified(request: BlobRequest, incomplete: string): Promise<void> {
  const { file, model, retry } = request;
  const state = await resume(incomplete, file);
  await withRetries((progress) => receive(request, incomplete, state, progress), retry);
  const hash = state.hash.digest("hex");
  if (hash === file.hash) return;
  await rm(incomplete, { force: true });
  throw new HubError(
    "corrupt",
    `Cannot download ${model}: the hash of ${file.path} is ${hash}, but the hub announced ${file.hash}`,
    { advice: "Nothing of it was kept. Try again" },
  );
}

/** How far a download is: the bytes on disk and the hash over them. */
interface Progress {
  size: number;
  hash: Hash;
}

async function resume(incomplete: string, file: RepositoryFile): Promise<Progress> {
  const present = await sizeOf(incomplete) ?? 0;
  const state = fresh(file);
  if (present === 0) return state;
  if (present > file.size) {
    await rm(incomplete);
    return state;
  }
  for await (const chunk of createReadStream(incomplete)) state.hash.update(chunk as Uint8Array);
  state.size = present;
  return state;
}

/** Files outside LFS are named by the hash of their git blob, which begins with their size. */
function fresh({ hash, size }: RepositoryFile): Progress {
  if (hash.length === SHA256_DIGITS) return { size: 0, hash: createHash("sha256") };
  return { size: 0, hash: createHash("sha1").update(`blob ${size}\0`) };
}

/** One request for what is missing. */
async function receive(
  request: BlobRequest,
  incomplete: string,
  state: Progress,
  progress: () => void,
): Promise<void> {
  const { file, model, url, onReceived, retry } = request;
  const handle = await onDisk("write", incomplete, open(incomplete, "a"));
  try {
    onReceived(state.size);
    if (state.size < file.size) {
      const response = await request.fetch(url, {
        headers: {
          "Accept-Encoding": "identity",
          ...(state.size > 0 ? { Range: `bytes=${state.size}-` } : {}),
        },
      });
      if (state.size > 0 && !continuesAt(response, state.size)) {
        // The server sends the file from its start.
        await handle.truncate(0);
        Object.assign(state, fresh(file));
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
      const missing = `${file.path} ended after ${state.size} of ${file.size} bytes`;
      throw unreachable(model, new URL(url), new Error(missing));
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

async function mkdirFor(path: string): Promise<void> {
  await onDisk("write", path, mkdir(dirname(path), { recursive: true }));
}

async function sizeOf(path: string): Promise<number | undefined> {
  return await stat(path).then(({ size }) => size, () => undefined);
}

function incompletePath(path: string): string {
  return `${path}.incomplete`;
}

function isCorrupt(error: unknown): boolean {
  return error instanceof HubError && error.code === "corrupt";
}
