/**
 * The artifacts of a folder store as files that are sent and received in pieces, whole in memory never.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { writeAtomically } from "../artifacts/atomically.ts";
import { readSafetensorsFileHeader } from "../artifacts/disk.ts";
import { LENGTH_BYTES, LONGEST_HEADER } from "../artifacts/safetensors_header.ts";
import { SafetensorsError } from "../artifacts/safetensors_error.ts";
import { partialPath, shardPath } from "../artifacts/store/folder_layout.ts";
import { touch } from "../artifacts/store/folder_store.ts";
import { systemCode } from "../errors/foreign_error.ts";
import { ApiError } from "./api_error.ts";
import { Slots } from "./engine/slots.ts";
import type { Limits } from "./limits.ts";
import type { StoreQuota } from "./store_quota.ts";

/** Files whose content is held against their ids at once. */
const HASHED_AT_ONCE = 2;

/** An artifact's file. */
export interface ArtifactFile {
  /** Where it lies. */
  readonly path: string;
  /** Its size in bytes. */
  readonly size: number;
}

/** Where artifacts are that the folder holds copies of. */
export interface SharedArtifacts {
  /** Copies an artifact into the folder. Tells whether it is there now. */
  fetch(id: string): Promise<boolean>;
  /** Copies an artifact of the folder to where the others are. */
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
   * @param quota Limits how much may be received.
   * @param shared Where the artifacts are, if the folder holds copies alone.
   */
  constructor(folder: string, quota: StoreQuota, shared?: SharedArtifacts) {
    this.#folder = folder;
    this.#quota = quota;
    this.#shared = shared;
  }

  /**
   * The file of an artifact. Its content is held against its id once, and again when the file has changed.
   *
   * @param id The artifact; 64 hexadecimal digits.
   * @returns The file; `undefined` where there is none, or a damaged one.
   */
  find(id: string): Promise<ArtifactFile | undefined> {
    // Many requests for one artifact read it once.
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
   * Opens a file, so that its bytes can be read even if a later snapshot takes its place meanwhile.
   *
   * @param file The file.
   * @param start The first byte.
   * @param end The byte after the last.
   * @returns The bytes; undefined where the file is gone.
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
   * @param id What its content's SHA-256 must be.
   * @param body Its bytes.
   * @param limits The most bytes to accept, in all and of the header.
   * @returns Whether it is new.
   * @throws {ApiError} 409 if the content has another hash, 413 if it or its header is too large, 400 if it
   * is no safetensors file, 507 if the store may not grow that much.
   */
  async receive(id: string, body: AsyncIterable<Uint8Array>, limits: ArtifactLimits): Promise<boolean> {
    if (await this.find(id)) return false;
    const path = shardPath(this.#folder, "artifacts", id);
    const temporary = partialPath(this.#folder);
    let taken = 0;
    const take = async (bytes: number): Promise<void> => {
      await this.#quota.take(bytes);
      taken += bytes;
    };
    let isKept = false;
    try {
      await writeAtomically(path, checked(body, { id, limits, written: temporary, take }), { temporary });
      await this.#shared?.send(id);
      isKept = true;
    } finally {
      this.#quota.settle(taken, isKept);
    }
    return true;
  }
}

/** Bounds of an artifact that arrives. */
export type ArtifactLimits = Pick<Limits, "maxArtifactBytes" | "maxHeaderBytes">;

/** Checks of an artifact while it arrives. */
interface Checks {
  /** The SHA-256 that its content must have. */
  readonly id: string;
  /** Bounds of its size. */
  readonly limits: ArtifactLimits;
  /** The file that receives it. */
  readonly written: string;
  /** Counts bytes against the quota; throws beyond it. */
  readonly take: (bytes: number) => Promise<void>;
}

/** Passes bytes on, and throws at their end if they are not what they should be: then nothing is kept. */
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
    const message = `Cannot take the artifact as its content has the SHA-256 ${found}`;
    throw new ApiError("hash_mismatch", message, { param: "id" });
  }
  try {
    await readSafetensorsFileHeader(written);
  } catch (cause) {
    if (!(cause instanceof SafetensorsError)) throw cause;
    throw new ApiError("not_safetensors", "Cannot take the artifact as it must be a safetensors file", {
      cause,
    });
  }
}

function tooLarge(what: string, most: number): ApiError {
  return new ApiError("too_large", `Cannot take the artifact as ${what} may have ${most} bytes at most`);
}

/**
 * Reads the length of a safetensors header from the first bytes of a file, so that a long one is never
 * parsed.
 */
class HeaderLength {
  #bytes = new Uint8Array(LENGTH_BYTES);
  #filled = 0;

  /**
   * Takes the next bytes of the file.
   *
   * @returns The header's length; 0 as long as it is not known, or where the file is no safetensors file.
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
