/**
 * Pictures of artifacts as files, and files as artifacts: written and read by a thread of their own, so that the server goes
 * on answering.
 *
 * @module
 */

import { InternalError } from "../../errors/pixstage_error.ts";
import { deserializeError } from "../../errors/serialized_error.ts";
import { startWorker } from "../../runtime/worker.ts";
import type { WorkerThread } from "../../runtime/worker_thread.ts";
import { ApiError } from "../api_error.ts";
import type { ArtifactFiles } from "../artifact_files.ts";
import {
  type PictureOrder,
  type PictureReply,
  pictureReplySchema,
  type PictureTask,
  type ReadPicture,
} from "./picture_order.ts";

/** Bounds of what is written and read. */
export interface PictureLimits {
  /** Pictures that may wait to be written or read; more are answered with 429. */
  readonly maxPictures: number;
  /** The most pixels that a picture may have. */
  readonly maxPicturePixels: number;
}

/** Writes pictures of artifacts as files, and reads files as artifacts. */
export class Pictures {
  #store: string;
  #files: ArtifactFiles;
  #limits: PictureLimits;
  #fetchOrigin: (artifact: string) => Promise<unknown>;
  #worker: WorkerThread | undefined;
  #waiting = new Map<number, PromiseWithResolvers<PictureReply>>();
  #next = 0;
  #orders = 0;

  /**
   * @param store The folder of the store.
   * @param files The store's files.
   * @param limits Bounds of what is written.
   * @param fetchOrigin Copies into the folder how an artifact was made, where that lies elsewhere.
   */
  constructor(
    store: string,
    files: ArtifactFiles,
    limits: PictureLimits,
    fetchOrigin: (artifact: string) => Promise<unknown> = () => Promise.resolve(),
  ) {
    this.#fetchOrigin = fetchOrigin;
    this.#store = store;
    this.#files = files;
    this.#limits = limits;
  }

  /**
   * Writes a picture as a file.
   *
   * @returns The file; `undefined` where there is no such artifact or picture.
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
   * @param bytes A PNG, JPEG or WebP file; its memory is handed over.
   * @returns The artifact.
   * @throws {ApiError} 429 if too many pictures wait.
   * @throws {PixstageError} if it is no sound picture, or has too many pixels.
   */
  async read(bytes: Uint8Array<ArrayBuffer>): Promise<ReadPicture> {
    return await this.#counted(async () => {
      const reply = await this.#ask({ bytes }, [bytes.buffer]);
      if ("read" in reply) return reply.read;
      throw new InternalError("The thread that reads pictures gave no picture");
    });
  }

  /** Counts before the first wait, so that no number of requests gets past the bound at once. */
  async #counted<T>(work: () => Promise<T>): Promise<T> {
    if (this.#orders >= this.#limits.maxPictures) {
      throw new ApiError(
        "queue_full",
        `${this.#orders} pictures wait to be written or read: try again later`,
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
    what: { readonly path: string; readonly order: PictureOrder } | {
      readonly bytes: Uint8Array<ArrayBuffer>;
    },
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

  /** Ends the thread, and what it is at. */
  close(): void {
    this.#end(new ApiError("interrupted", "The server is shutting down"));
  }

  #start(): WorkerThread {
    return startWorker(new URL("./picture_worker.ts", import.meta.url), {
      onMessage: (message) => this.#take(pictureReplySchema.parse(message)),
      onError: (reason) =>
        this.#end(new ApiError("internal", `The thread that writes pictures ended: ${reason}`)),
    });
  }

  #take(reply: PictureReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ("error" in reply) waiting?.reject(deserializeError(reply.error));
    else waiting?.resolve(reply);
  }

  #end(error: ApiError): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
