// This module is browser compatible.

/**
 * Errors of pictures that come from files: they name the file.
 *
 * @module
 */

import { FormatError, InputError } from "../errors/pixstage_error.ts";

/**
 * Waits for the content of a picture file. Its decoders see only bytes, so this adds the file to their errors.
 *
 * @param path The file.
 * @param content Its content, which is being decoded.
 * @throws {FormatError} if the file is damaged.
 * @throws {InputError} if the picture has too many pixels.
 */
export async function inPictureFile<T>(path: string, content: Promise<T>): Promise<T> {
  try {
    return await content;
  } catch (cause) {
    if (cause instanceof FormatError) throw new FormatError(`${path}: ${cause.message}`, { cause });
    if (cause instanceof InputError) throw new InputError(cause.code, `${path}: ${cause.message}`, { cause });
    throw cause;
  }
}
