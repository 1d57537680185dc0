// This module is browser compatible.

/**
 * The header of a picture file, read before its pixels are decoded.
 *
 * @module
 */

import { FormatError, InputError } from "../errors/pixstage_error.ts";

/** The picture formats that can be read and written. */
export type PictureFormat = "png" | "jpeg" | "webp";

/** The size and the texts of a picture file. */
export interface PictureHeader {
  /** The file's format. */
  readonly format: PictureFormat;
  /** Columns. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** The texts in the file, by key. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Checks a picture's size before memory is allocated for it.
 *
 * @param header The header of the file.
 * @param maxPixels The maximum number of pixels.
 * @throws {FormatError} if the picture is empty.
 * @throws {InputError} if it has more pixels.
 */
export function checkPictureSize({ format, width, height }: PictureHeader, maxPixels: number): void {
  if (width < 1 || height < 1) {
    throw new FormatError(
      `Cannot decode ${format} because width and height must be above 0: current value is ${width} × ${height}`,
    );
  }
  if (width * height > maxPixels) {
    throw new InputError(
      "out_of_range",
      `Cannot decode ${format} because it must have at most ${maxPixels} pixels: current value is ${width} × ${height}`,
    );
  }
}
