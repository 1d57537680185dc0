import { PixstageError } from "../../errors/pixstage_error.ts";
import { ApiError } from "../api_error.ts";
import type { ReadPicture } from "./picture_order.ts";
import type { Pictures } from "./pictures.ts";

/**
 * Puts a picture file from a client into the store.
 *
 * @param pictures Decodes it.
 * @param bytes The file. Its memory is transferred to the decoding thread.
 * @param param The request field that contained it, if any.
 * @throws {ApiError} 400 if the file is not a valid picture, or has too many pixels.
 */
export async function readUpload(
  pictures: Pictures,
  bytes: Uint8Array<ArrayBuffer>,
  param?: string,
): Promise<ReadPicture> {
  return await blamed(() => pictures.read(bytes), param);
}

/**
 * Reads the texts in a picture file from a client.
 *
 * @param pictures Reads it.
 * @param bytes The file. Its memory is transferred to the reading thread.
 * @param param The request field that contained it.
 * @throws {ApiError} 400 if the file is not a valid picture.
 */
export async function readTexts(
  pictures: Pictures,
  bytes: Uint8Array<ArrayBuffer>,
  param: string,
): Promise<ReadonlyMap<string, string>> {
  return await blamed(() => pictures.texts(bytes), param);
}

/** Reads a file, and blames the client if the file is at fault. */
async function blamed<T>(read: () => Promise<T>, param: string | undefined): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof PixstageError) || error instanceof ApiError) throw error;
    // A broken file from a client is the client's fault; a broken file of this machine would not be.
    const isBroken = error.code === "invalid_file";
    if (!isBroken && error.fault !== "caller") throw error;
    const message = param === undefined ? error.message : `${param}: ${error.message}`;
    throw new ApiError(isBroken ? "invalid_value" : error.code, message, { param, cause: error });
  }
}
