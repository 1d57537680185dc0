/**
 * Pictures of artifacts as files, written by a thread of their own, so that the server goes on answering.
 *
 * @module
 */

import { deserializeError } from "../../errors/serialized_error.ts";
import { ApiError } from "../api_error.ts";
import type { ArtifactFiles } from "../artifact_files.ts";
import {
  type PictureOrder,
  type PictureReply,
  pictureReplySchema,
  type PictureTask,
} from "./picture_order.ts";

/** Bounds of what is written. */
export interface PictureLimits {
  /** Pictures that may wait to be written; more are answered with 429. */
  readonly maxPictures: number;
  /** The most pixels that a picture may have. */
  readonly maxPicturePixels: number;
}

/** Writes pictures of artifacts as files. */
export class Pictures {
  #store: string;
  #files: ArtifactFiles;
  #limits: PictureLimits;
  #worker: Worker | undefined;
  #waiting = new Map<number, PromiseWithResolvers<Uint8Array<ArrayBuffer> | undefined>>();
  #next = 0;
  #orders = 0;

  /**
   * @param store The folder of the store.
   * @param files The store's files.
   * @param limits Bounds of what is written.
   */
  constructor(store: string, files: ArtifactFiles, limits: PictureLimits) {
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
    const { maxPictures, maxPicturePixels } = this.#limits;
    if (this.#orders >= maxPictures) {
      throw new ApiError("queue_full", `${this.#orders} pictures wait to be written: try again later`, {
        headers: { "retry-after": "1" },
      });
    }
    // Counted before the first wait, so that no number of requests gets past the bound at once.
    this.#orders++;
    try {
      const found = await this.#files.find(order.artifact);
      return found && await this.#write(order, found.path, maxPicturePixels);
    } finally {
      this.#orders--;
    }
  }

  async #write(
    order: PictureOrder,
    path: string,
    maxPixels: number,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const id = this.#next++;
    const task: PictureTask = {
      id,
      store: this.#store,
      path,
      maxPixels,
      order,
    };
    const reply = Promise.withResolvers<Uint8Array<ArrayBuffer> | undefined>();
    this.#waiting.set(id, reply);
    this.#worker ??= this.#start();
    this.#worker.postMessage(task);
    return await reply.promise;
  }

  /** Ends the thread, and what it is at. */
  close(): void {
    this.#end(new ApiError("interrupted", "The server is shutting down"));
  }

  #start(): Worker {
    const worker = new Worker(import.meta.resolve("./picture_worker.ts"), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<unknown>): void => this.#take(pictureReplySchema.parse(data));
    worker.onerror = (event): void => {
      // Without this the fault of one thread would end the whole server.
      event.preventDefault();
      this.#end(new ApiError("internal", `The thread that writes pictures ended: ${event.message}`));
    };
    return worker;
  }

  #take(reply: PictureReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ("error" in reply) waiting?.reject(deserializeError(reply.error));
    else waiting?.resolve("file" in reply ? reply.file : undefined);
  }

  #end(error: ApiError): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
