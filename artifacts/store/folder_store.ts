import { createHash } from "node:crypto";
import { rm, stat, utimes } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import type { Artifact, JsonObject } from "../artifact.ts";
import { decodeArtifact, encodeArtifactChunks, outlineOfFile } from "../artifact_file.ts";
import { writeAtomically, type WriteOptions } from "../../disk/atomic_write.ts";
import { readFileRange, readSafetensorsFileHeader } from "../files_on_disk.ts";
import { PixstageError } from "../../errors/pixstage_error.ts";
import type { ArtifactOutline } from "../outline.ts";
import { FileError, onDisk } from "../../disk/file_error.ts";
import {
  partialPath,
  removePartialsOf,
  type Shard,
  shardFiles,
  shardPath,
  type StoreFile,
} from "./folder_layout.ts";
import { openRecord, sealRecord } from "./sealed_record.ts";
import { sha256Schema, type StageRecord, stageRecordSchema } from "./stage_record.ts";
import type { RunStore, StoreDamage, StoredArtifact, StoreReadOptions } from "./store.ts";

/** Minimum number of milliseconds between two updates of a file's time of last use. */
const TOUCH_EVERY_MS = 60_000;

/**
 * A store in a folder. Several processes can use it at once. Files are written atomically, and their content
 * determines their names. Writers of the same artifact therefore write the same file.
 *
 * @example Usage
 * ```ts
 * import { FolderStore } from "./folder_store.ts";
 * import { tensor } from "../tensor.ts";
 *
 * const folder = await Deno.makeTempDir();
 * const store = new FolderStore(folder);
 * const latents = tensor("float32", [1, 4, 8, 8], new Float32Array(256));
 * const id = await store.put({ kind: "latents", tensors: { latents }, metadata: {} });
 * console.assert((await new FolderStore(folder).get(id))?.kind === "latents");
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export class FolderStore implements RunStore {
  /** The folder. */
  readonly folder: string;

  /** @param folder The folder. It is created when something is put. */
  constructor(folder: string) {
    this.folder = folder;
  }

  async get(id: string, options: StoreReadOptions = {}): Promise<Artifact | undefined> {
    const path = this.#path("artifacts", id);
    const damaged = (reason: string): undefined => {
      options.onDamage?.({ what: "artifact", id, place: path, reason });
    };
    const bytes = await readIfThere(path, damaged);
    if (!bytes) return undefined;
    const found = await contentId([bytes]);
    if (found !== id) return damaged(`its content has the SHA-256 ${found}`);
    await touch(path);
    return decodeArtifact(bytes, id);
  }

  async outline(id: string, options: StoreReadOptions = {}): Promise<ArtifactOutline | undefined> {
    const path = this.#path("artifacts", id);
    try {
      const header = await readSafetensorsFileHeader(path);
      await touch(path);
      return outlineOfFile(header, id);
    } catch (error) {
      if (!(error instanceof PixstageError)) throw error;
      if (error.code === "file_not_found") return undefined;
      options.onDamage?.({ what: "artifact", id, place: path, reason: error.message });
      return undefined;
    }
  }

  async put(artifact: Artifact): Promise<string> {
    // One buffer with all of a large artifact, and Web Crypto's copy of it, would triple its memory.
    const chunks = encodeArtifactChunks(artifact);
    const id = await contentId(chunks);
    const path = this.#path("artifacts", id);
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (await this.#isWhole(path, id, length)) await touch(path);
    else await writeAtomically(path, chunks, { temporary: partialPath(this.folder) });
    return id;
  }

  async has(id: string): Promise<boolean> {
    return await isFile(this.#path("artifacts", id));
  }

  /**
   * Records that an artifact is used, which makes a garbage collection remove it later.
   *
   * @param id The artifact.
   * @returns Whether it exists.
   */
  async use(id: string): Promise<boolean> {
    await touch(this.#path("artifacts", id));
    return await this.has(id);
  }

  async delete(id: string): Promise<void> {
    await this.#remove("artifacts", id);
    await this.#remove("makers", id);
  }

  /** Lists all artifacts, including damaged ones. */
  async *list(): AsyncGenerator<StoredArtifact> {
    for await (const { id, bytes, usedAt } of shardFiles(this.folder, "artifacts")) {
      if (sha256Schema.safeParse(id).success) yield { id, bytes, usedAt };
    }
  }

  async result(key: string, options: StoreReadOptions = {}): Promise<StageRecord | undefined> {
    const path = this.#path("results", key);
    const content = await this.#record(path, key, options);
    if (content === undefined) return undefined;
    const parsed = stageRecordSchema.safeParse(content);
    if (!parsed.success) return undefined;
    await touch(path);
    // The record of an artifact's maker is used as often as the result. It is written again if a garbage
    // collection removed it.
    await Promise.all(
      Object.values(parsed.data.outputs).map(async (id) => {
        const maker = this.#path("makers", id);
        if (await isFile(maker)) await touch(maker);
        else await this.#write(maker, { key }, { flush: false }).catch(() => {});
      }),
    );
    return parsed.data;
  }

  async keepResult(key: string, record: StageRecord): Promise<void> {
    const makers = Object.values(record.outputs).map(async (id) => {
      // A power cut can lose the record of the maker. Then only the artifact's provenance is lost.
      if (!await this.madeBy(id)) await this.#write(this.#path("makers", id), { key }, { flush: false });
    });
    await Promise.all([
      this.#write(this.#path("results", key), record as unknown as JsonObject),
      ...makers,
    ]);
  }

  async removeResult(key: string): Promise<void> {
    await this.#remove("results", key);
  }

  async madeBy(id: string, options: StoreReadOptions = {}): Promise<StageRecord | undefined> {
    const content = await this.#record(this.#path("makers", id), id, options);
    const key = sha256Schema.safeParse(content?.["key"]);
    return key.success ? await this.result(key.data, options) : undefined;
  }

  /**
   * Removes the files that a process of this machine was writing when it died.
   *
   * @param pid Id of the process, which must have ended.
   */
  async removePartialsOf(pid: number): Promise<void> {
    await removePartialsOf(this.folder, pid);
  }

  #path(shard: Shard, id: string): string {
    return shardPath(this.folder, shard, sha256Schema.parse(id));
  }

  async #isWhole(path: string, id: string, length: number): Promise<boolean> {
    const found = await stat(path).catch(() => undefined);
    if (found?.size !== length) return false;
    const bytes = await readIfThere(path, () => {});
    return bytes !== undefined && await contentId([bytes]) === id;
  }

  async #record(
    path: string,
    id: string,
    { onDamage }: StoreReadOptions,
  ): Promise<JsonObject | undefined> {
    const damaged = (reason: string): void => onDamage?.({ what: "record", id, place: path, reason });
    const bytes = await readIfThere(path, damaged);
    if (!bytes) return undefined;
    const content = await openRecord(bytes);
    if (!content) damaged("its content has another SHA-256");
    return content;
  }

  async #write(path: string, content: JsonObject, options: WriteOptions = {}): Promise<void> {
    const temporary = partialPath(this.folder);
    await writeAtomically(path, [await sealRecord(content)], { temporary, ...options });
  }

  async #remove(shard: Shard, id: string): Promise<void> {
    const path = this.#path(shard, id);
    await onDisk("write", path, rm(path, { force: true }));
  }
}

/**
 * Number of bytes of a large file to hash at once. Web Crypto would first copy all of it on the caller's
 * thread.
 */
const HASHED_BYTES = 1 << 22;

/** Returns the SHA-256 of a file's content. Yields to the event loop between the parts of a large file. */
export async function contentId(chunks: readonly Uint8Array[]): Promise<string> {
  const hash = createHash("sha256");
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += HASHED_BYTES) {
      hash.update(chunk.subarray(at, at + HASHED_BYTES));
      if (chunk.length > HASHED_BYTES) await setImmediate();
    }
  }
  return hash.digest("hex");
}

/**
 * Checks a file of a store against its name.
 *
 * @returns The fault, or `undefined` if there is none.
 */
export async function damageOf(shard: Shard, file: StoreFile): Promise<StoreDamage | undefined> {
  const damage = (reason: string): StoreDamage => ({
    what: shard === "artifacts" ? "artifact" : "record",
    id: file.id,
    place: file.path,
    reason,
  });
  if (!sha256Schema.safeParse(file.id).success) return damage("its name is not a SHA-256");
  let fault: string | undefined;
  const bytes = await readIfThere(file.path, (reason) => fault = reason);
  if (!bytes) return fault === undefined ? undefined : damage(fault);
  if (shard !== "artifacts") {
    return await openRecord(bytes) ? undefined : damage("its content has another SHA-256");
  }
  const found = await contentId([bytes]);
  return found === file.id ? undefined : damage(`its content has the SHA-256 ${found}`);
}

/**
 * Reads a file of a store.
 *
 * @param path The file.
 * @param onFault Called with the reason if an existing file cannot be read.
 * @returns Its content, or `undefined` if it cannot be read.
 */
async function readIfThere(
  path: string,
  onFault: (reason: string) => void,
): Promise<Uint8Array | undefined> {
  try {
    return await readFileRange(path, 0, Infinity);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    if (error.systemCode !== "ENOENT") onFault(error.message);
    return undefined;
  }
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then((found) => found.isFile(), () => false);
}

/** Records that a file was used. In another user's store this can be forbidden even if reading is allowed. */
export async function touch(path: string): Promise<void> {
  const now = Date.now();
  const found = await stat(path).catch(() => undefined);
  if (!found || now - found.mtimeMs < TOUCH_EVERY_MS) return;
  await utimes(path, now / 1000, now / 1000).catch(() => {});
}
