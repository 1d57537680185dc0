import { PixstageError } from "../../errors/pixstage_error.ts";
import { ApiError } from "../api_error.ts";
import type { ReadPicture } from "./picture_order.ts";
import type { Pictures } from "./pictures.ts";

/**
 * Puts a picture file that a client has sent into the store.
 *
 * @param pictures Reads it.
 * @param bytes The file; its memory is handed over.
 * @param param The field that it came in, where there is one.
 * @throws {ApiError} 400 if it is no sound picture, or has too many pixels.
 */
export async function readUpload(
  pictures: Pictures,
  bytes: Uint8Array<ArrayBuffer>,
  param?: string,
): Promise<ReadPicture> {
  try {
    return await pictures.read(bytes);
  } catch (error) {
    if (!(error instanceof PixstageError) || error instanceof ApiError) throw error;
    // A file that a client sends is the client's fault; a file of this machine would not be.
    const isBroken = error.code === "invalid_file";
    if (!isBroken && error.fault !== "caller") throw error;
    const message = param === undefined ? error.message : `${param}: ${error.message}`;
    throw new ApiError(isBroken ? "invalid_value" : error.code, message, { param, cause: error });
  }
}
