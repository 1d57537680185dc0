/**
 * Encodes pictures of artifacts as files and decodes files into artifacts. A separate thread does this, so
 * that the server keeps answering.
 *
 * @module
 */

import { InternalError } from "../../errors/pixstage_error.ts";
import { deserializeError } from "../../errors/serialized_error.ts";
import { startWorker } from "../../system/worker.ts";
import type { WorkerThread } from "../../system/worker_thread.ts";
import { ApiError } from "../api_error.ts";
import type { ArtifactFiles } from "../artifact_files.ts";
import type { StoreQuota, Upload } from "../store_quota.ts";
import {
  type PictureMessage,
  type PictureOrder,
  type PictureReply,
  type PictureTask,
  type ReadPicture,
  type StoreWish,
  threadMessageSchema,
} from "./picture_order.ts";

/** Limits on pictures. */
export interface PictureLimits {
  /**
   * Maximum number of pictures that wait to be encoded or decoded. The server answers further requests with
   * 429.
   */
  readonly maxPictures: number;
  /** Maximum number of pixels of a picture. */
  readonly maxPicturePixels: number;
}

/** Encodes pictures of artifacts as files, and decodes files into artifacts. */
export class Pictures {
  #store: string;
  #files: ArtifactFiles;
  #quota: StoreQuota;
  #limits: PictureLimits;
  #fetchOrigin: (artifact: string) => Promise<unknown>;
  #worker: WorkerThread | undefined;
  #waiting = new Map<number, PromiseWithResolvers<PictureReply>>();
  /** Artifacts that the thread stores, by the number of the task. */
  #uploads = new Map<number, Upload[]>();
  #next = 0;
  #orders = 0;

  /**
   * @param store The folder of the store.
   * @param files The store's files.
   * @param quota Limits how many bytes are stored.
   * @param limits Limits on pictures.
   * @param fetchOrigin Copies the record of how an artifact was made into the folder, if the record is stored
   * elsewhere.
   */
  constructor(
    store: string,
    files: ArtifactFiles,
    quota: StoreQuota,
    limits: PictureLimits,
    fetchOrigin: (artifact: string) => Promise<unknown> = () => Promise.resolve(),
  ) {
    this.#fetchOrigin = fetchOrigin;
    this.#store = store;
    this.#files = files;
    this.#quota = quota;
    this.#limits = limits;
  }

  /**
   * Encodes a picture as a file.
   *
   * @returns The file; `undefined` if there is no such artifact or picture.
   * @throws {ApiError} 429 if too many pictures wait.
   * @throws {PixstageError} if the artifact's picture cannot be shown.
   */
  async write(order: PictureOrder): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return await this.#counted(async () => {
      const found = await this.#files.find(order.artifact);
      if (found) await this.#fetchOrigin(order.artifact);
      const reply = found && await this.#ask({ path: found.path, order });
      return reply && "file" in reply ? reply.file : undefined;
    });
  }

  /**
   * Puts a picture file into the store.
   *
   * @param bytes A PNG, JPEG or WebP file. Its memory is transferred to the thread.
   * @returns The artifact.
   * @throws {ApiError} 429 if too many pictures wait, 507 if the store may not grow that much.
   * @throws {PixstageError} if the file is not a valid picture, or has too many pixels.
   */
  async read(bytes: Uint8Array<ArrayBuffer>): Promise<ReadPicture> {
    return await this.#counted(async () => {
      const reply = await this.#ask({ bytes }, [bytes.buffer]);
      if ("read" in reply) return reply.read;
      throw new InternalError("The thread that reads pictures returned no picture");
    });
  }

  /**
   * Reads the texts in a picture file.
   *
   * @param bytes A PNG, JPEG or WebP file. Its memory is transferred to the thread.
   * @returns The texts by key.
   * @throws {ApiError} 429 if too many pictures wait.
   * @throws {PixstageError} if the file is not a valid picture.
   */
  async texts(bytes: Uint8Array<ArrayBuffer>): Promise<ReadonlyMap<string, string>> {
    return await this.#counted(async () => {
      const reply = await this.#ask({ described: bytes }, [bytes.buffer]);
      if ("texts" in reply) return reply.texts;
      throw new InternalError("The thread that reads pictures returned no texts");
    });
  }

  /** Counts before the first await, so that concurrent requests cannot exceed the limit. */
  async #counted<T>(work: () => Promise<T>): Promise<T> {
    if (this.#orders >= this.#limits.maxPictures) {
      throw new ApiError(
        "queue_full",
        `${this.#orders} pictures are already waiting to be read or written: try again later`,
        {
          headers: { "retry-after": "1" },
        },
      );
    }
    this.#orders++;
    try {
      return await work();
    } finally {
      this.#orders--;
    }
  }

  async #ask(
    what:
      | { readonly path: string; readonly order: PictureOrder }
      | { readonly bytes: Uint8Array<ArrayBuffer> }
      | { readonly described: Uint8Array<ArrayBuffer> },
    transfer: ArrayBuffer[] = [],
  ): Promise<PictureReply> {
    const id = this.#next++;
    const task: PictureTask = { id, store: this.#store, maxPixels: this.#limits.maxPicturePixels, ...what };
    const reply = Promise.withResolvers<PictureReply>();
    this.#waiting.set(id, reply);
    this.#worker ??= this.#start();
    this.#worker.postMessage(task, transfer);
    return await reply.promise;
  }

  /** Ends the thread and the work in progress. */
  close(): void {
    this.#end(new ApiError("interrupted", "The server is shutting down"));
  }

  #start(): WorkerThread {
    return startWorker(new URL("./picture_worker.ts", import.meta.url), {
      onMessage: (message) => {
        const { data: reply, error } = threadMessageSchema.safeParse(message);
        if (reply && "wants" in reply) this.#permit(reply);
        else if (reply) this.#take(reply);
        else {
          const reason =
            `The thread that reads and writes pictures sent an invalid message: ${error.message}`;
          this.#end(new ApiError("internal", reason));
        }
      },
      onError: (reason) =>
        this.#end(new ApiError("internal", `The thread that reads and writes pictures crashed: ${reason}`)),
    });
  }

  /** Answers whether the thread may store an artifact. A refusal fails the request at once. */
  async #permit({ id, wants: { artifact, bytes } }: StoreWish): Promise<void> {
    const upload = this.#quota.begin(artifact);
    this.#uploads.set(id, [...this.#uploads.get(id) ?? [], upload]);
    let mayStore = true;
    try {
      await this.#quota.take(upload, bytes);
    } catch (error) {
      mayStore = false;
      this.#waiting.get(id)?.reject(error);
    }
    this.#worker?.postMessage({ id, mayStore } satisfies PictureMessage);
  }

  /** Ends the uploads of a task: its artifacts are in the store now, or it failed. */
  #settle(id: number, isStored: boolean): void {
    for (const upload of this.#uploads.get(id) ?? []) this.#quota.end(upload, isStored);
    this.#uploads.delete(id);
  }

  #take(reply: PictureReply): void {
    this.#settle(reply.id, "read" in reply);
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ("error" in reply) waiting?.reject(deserializeError(reply.error));
    else waiting?.resolve(reply);
  }

  #end(error: ApiError): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const id of this.#uploads.keys()) this.#settle(id, false);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
