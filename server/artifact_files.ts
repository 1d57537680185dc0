/**
 * Streams the artifacts of a folder store as files, and never loads a whole file into memory.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { writeAtomically } from "../disk/atomic_write.ts";
import { readSafetensorsFileHeader } from "../artifacts/files_on_disk.ts";
import { LENGTH_BYTES, LONGEST_HEADER } from "../artifacts/safetensors_header.ts";
import { SafetensorsError } from "../artifacts/safetensors_error.ts";
import { partialPath, shardPath } from "../artifacts/store/folder_layout.ts";
import { touch } from "../artifacts/store/folder_store.ts";
import { systemCode } from "../errors/foreign_error.ts";
import { ApiError } from "./api_error.ts";
import { Slots } from "./engine/slots.ts";
import type { Limits } from "./limits.ts";
import type { StoreQuota } from "./store_quota.ts";

/** Number of files whose hashes are verified at once. */
const HASHED_AT_ONCE = 2;

/** The file of an artifact. */
export interface ArtifactFile {
  /** The file's path. */
  readonly path: string;
  /** Size of the file in bytes. */
  readonly size: number;
}

/** The shared store that the folder contains copies of. */
export interface SharedArtifacts {
  /** Copies an artifact into the folder. Returns whether the folder now contains it. */
  fetch(id: string): Promise<boolean>;
  /** Copies an artifact from the folder to the shared store. */
  send(id: string): Promise<void>;
}

/** Sends and receives the files of a folder store. */
export class ArtifactFiles {
  #folder: string;
  #quota: StoreQuota;
  #shared: SharedArtifacts | undefined;
  #whole = new Map<string, string>();
  #looks = new Map<string, Promise<ArtifactFile | undefined>>();
  #hashing = new Slots(HASHED_AT_ONCE);

  /**
   * @param folder The store's folder.
   * @param quota Limits how many bytes may be received.
   * @param shared The shared store, if the folder contains only copies.
   */
  constructor(folder: string, quota: StoreQuota, shared?: SharedArtifacts) {
    this.#folder = folder;
    this.#quota = quota;
    this.#shared = shared;
  }

  /**
   * Finds the file of an artifact. Verifies its content against its id once, and again if the file has
   * changed.
   *
   * @param id The artifact; 64 hexadecimal digits.
   * @returns The file; `undefined` if it is missing or damaged.
   */
  find(id: string): Promise<ArtifactFile | undefined> {
    // Concurrent requests for one artifact read it once.
    const look = this.#looks.get(id) ?? this.#findOrFetch(id).finally(() => this.#looks.delete(id));
    this.#looks.set(id, look);
    return look;
  }

  async #findOrFetch(id: string): Promise<ArtifactFile | undefined> {
    const found = await this.#find(id);
    return found || !await this.#shared?.fetch(id) ? found : await this.#find(id);
  }

  async #find(id: string): Promise<ArtifactFile | undefined> {
    const path = shardPath(this.#folder, "artifacts", id);
    await touch(path);
    const found = await stat(path).catch(() => undefined);
    if (!found?.isFile()) return undefined;
    const file = { path, size: found.size };
    const state = `${found.size} ${found.mtimeMs} ${found.ino}`;
    if (this.#whole.get(id) === state) return file;
    using _slot = await this.#hashing.take();
    const content = await this.open(file, 0, file.size);
    if (!content) return undefined;
    const hash = createHash("sha256");
    for await (const chunk of content) hash.update(chunk);
    if (hash.digest("hex") !== id) return undefined;
    if (this.#whole.size >= 10_000) this.#whole.clear();
    this.#whole.set(id, state);
    return file;
  }

  /**
   * Opens a file. Its bytes stay readable even if a later snapshot replaces it.
   *
   * @param file The file.
   * @param start The first byte.
   * @param end The byte after the last.
   * @returns The bytes; undefined if the file is gone.
   */
  async open(
    { path }: ArtifactFile,
    start: number,
    end: number,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const file = await open(path).catch((error: unknown) => {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    });
    if (start < end) return file?.createReadStream({ start, end: end - 1, highWaterMark: 1 << 18 });
    await file?.close();
    return file && (async function* () {})();
  }

  /**
   * Receives an artifact.
   *
   * @param id The SHA-256 that its content must have.
   * @param body Its bytes.
   * @param limits Maximum sizes of the artifact and of its header.
   * @returns Whether the artifact is new.
   * @throws {ApiError} 409 if the content has another hash, 413 if it or its header is too large, 400 if it
   * is not a safetensors file, 507 if the store may not grow that much.
   */
  async receive(id: string, body: AsyncIterable<Uint8Array>, limits: ArtifactLimits): Promise<boolean> {
    if (await this.find(id)) return false;
    const path = shardPath(this.#folder, "artifacts", id);
    const temporary = partialPath(this.#folder);
    const upload = this.#quota.begin(id);
    const take = (bytes: number): Promise<void> => this.#quota.take(upload, bytes);
    let isStored = false;
    try {
      await writeAtomically(path, checked(body, { id, limits, written: temporary, take }), { temporary });
      await this.#shared?.send(id);
      isStored = true;
    } finally {
      this.#quota.end(upload, isStored);
    }
    return true;
  }
}

/** Size limits of an incoming artifact. */
export type ArtifactLimits = Pick<Limits, "maxArtifactBytes" | "maxHeaderBytes">;

/** Checks of an artifact during its upload. */
interface Checks {
  /** The SHA-256 that its content must have. */
  readonly id: string;
  /** Size limits of an artifact. */
  readonly limits: ArtifactLimits;
  /** Path of the file that receives the upload. */
  readonly written: string;
  /** Counts bytes against the quota; throws if they exceed it. */
  readonly take: (bytes: number) => Promise<void>;
}

/** Passes bytes on, and throws at the end if a check fails. The caller then keeps nothing. */
async function* checked(
  body: AsyncIterable<Uint8Array>,
  { id, limits, written, take }: Checks,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  const header = new HeaderLength();
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limits.maxArtifactBytes) throw tooLarge("the artifact", limits.maxArtifactBytes);
    if (header.take(chunk) > limits.maxHeaderBytes) throw tooLarge("its header", limits.maxHeaderBytes);
    await take(chunk.length);
    hash.update(chunk);
    yield chunk;
  }
  const found = hash.digest("hex");
  if (found !== id) {
    const message = `Cannot store the artifact under this id because its SHA-256 is ${found}`;
    throw new ApiError("hash_mismatch", message, { param: "id" });
  }
  try {
    await readSafetensorsFileHeader(written);
  } catch (cause) {
    if (!(cause instanceof SafetensorsError)) throw cause;
    throw new ApiError("not_safetensors", "Cannot store the artifact because it is not a safetensors file", {
      cause,
    });
  }
}

function tooLarge(what: string, most: number): ApiError {
  return new ApiError(
    "too_large",
    `Cannot store the artifact because ${what} must have at most ${most} bytes`,
  );
}

/**
 * Reads the length of a safetensors header from the first bytes of a file, so that an overlong header is
 * never parsed.
 */
class HeaderLength {
  #bytes = new Uint8Array(LENGTH_BYTES);
  #filled = 0;

  /**
   * Takes the next bytes of the file.
   *
   * @returns The header's length; 0 while it is unknown, or if the file is not a safetensors file.
   */
  take(chunk: Uint8Array): number {
    const more = chunk.subarray(0, LENGTH_BYTES - this.#filled);
    this.#bytes.set(more, this.#filled);
    this.#filled += more.length;
    if (this.#filled < LENGTH_BYTES) return 0;
    const length = new DataView(this.#bytes.buffer).getBigUint64(0, true);
    return length > BigInt(LONGEST_HEADER) ? 0 : Number(length);
  }
}
