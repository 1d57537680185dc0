import type { Artifact } from "../artifact.ts";
import { FileError } from "../../disk/file_error.ts";
import type { ArtifactOutline } from "../outline.ts";
import type { FolderStore } from "./folder_store.ts";
import type { S3Store } from "./s3_store.ts";
import type { StageRecord } from "./stage_record.ts";
import type { RunStore, StoredArtifact, StoreReadOptions } from "./store.ts";

/**
 * A store in S3 with a local folder that keeps copies of the artifacts read and written here. The bucket
 * determines the content. The folder saves downloads, and can lose files at any time.
 */
export class MirroredStore implements RunStore {
  readonly #bucket: S3Store;
  readonly #copies: FolderStore;

  /**
   * @param bucket The store that machines share.
   * @param copies The folder of this machine. It is not offered to other processes, because what they write
   * there would not reach the bucket.
   */
  constructor(bucket: S3Store, copies: FolderStore) {
    this.#bucket = bucket;
    this.#copies = copies;
  }

  async get(id: string, options?: StoreReadOptions): Promise<Artifact | undefined> {
    const here = await this.#copies.get(id);
    if (here) return here;
    const there = await this.#bucket.get(id, options);
    if (there) await unlessFull(this.#copies.put(there));
    return there;
  }

  async outline(id: string, options?: StoreReadOptions): Promise<ArtifactOutline | undefined> {
    return await this.#copies.outline(id) ?? await this.#bucket.outline(id, options);
  }

  async put(artifact: Artifact): Promise<string> {
    const [id] = await Promise.all([this.#bucket.put(artifact), unlessFull(this.#copies.put(artifact))]);
    return id;
  }

  async has(id: string): Promise<boolean> {
    return await this.#bucket.has(id);
  }

  async delete(id: string): Promise<void> {
    await Promise.all([this.#bucket.delete(id), this.#copies.delete(id)]);
  }

  list(): AsyncIterable<StoredArtifact> {
    return this.#bucket.list();
  }

  async result(key: string, options?: StoreReadOptions): Promise<StageRecord | undefined> {
    const here = await this.#copies.result(key);
    if (here) return here;
    const there = await this.#bucket.result(key, options);
    if (there) await unlessFull(this.#copies.keepResult(key, there));
    return there;
  }

  async keepResult(key: string, record: StageRecord): Promise<void> {
    await Promise.all([
      this.#bucket.keepResult(key, record),
      unlessFull(this.#copies.keepResult(key, record)),
    ]);
  }

  async removeResult(key: string): Promise<void> {
    await Promise.all([this.#bucket.removeResult(key), this.#copies.removeResult(key)]);
  }

  async madeBy(id: string, options?: StoreReadOptions): Promise<StageRecord | undefined> {
    const here = await this.#copies.madeBy(id);
    if (here) return here;
    const key = await this.#bucket.makerOf(id, options);
    return key === undefined ? undefined : await this.result(key, options);
  }

  /** Records that an artifact is used. Returns whether it exists. */
  async use(id: string): Promise<boolean> {
    return await this.#copies.use(id) || await this.#bucket.has(id);
  }

  /** Copies an artifact from the bucket into the folder. Returns whether it is there now. */
  async fetch(id: string): Promise<boolean> {
    return await this.get(id) !== undefined;
  }

  /** Copies an artifact from the folder into the bucket. */
  async send(id: string): Promise<void> {
    const artifact = await this.#copies.get(id);
    if (artifact) await this.#bucket.put(artifact);
  }
}

/** Ignores a full disk. Copies only save time, and the bucket has the artifact. */
async function unlessFull(writing: Promise<unknown>): Promise<void> {
  try {
    await writing;
  } catch (error) {
    if (!(error instanceof FileError) || !error.isFull) throw error;
  }
}
