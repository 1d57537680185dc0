// This module is browser compatible.

/**
 * The provenance that a picture file carries in its metadata.
 *
 * @module
 */

import { z } from "zod";
import { parseValue } from "../errors/parse_value.ts";
import { FormatError } from "../errors/pixstage_error.ts";
import { decodePicture, type PictureFormat } from "../images/picture.ts";
import { inPictureFile } from "../images/picture_file_error.ts";
import { parseProvenance, type Provenance } from "./provenance.ts";

/** How the picture in a file was made. */
export interface RecordedPicture {
  /** How the artifact that contains the picture was made. */
  readonly provenance: Provenance;
  /** Index of the picture in the artifact. */
  readonly image: number;
  /** Format of the file. */
  readonly format: PictureFormat;
}

const imageSchema = z.object({ image: z.int().nonnegative() });

/**
 * Reads how the picture in a file was made.
 *
 * @param bytes A PNG, JPEG or WebP file.
 * @param name The file's name, for errors.
 * @returns What the file records, or `undefined` if it records nothing.
 * @throws {FormatError} if the file is not a picture, or its record is invalid.
 */
export async function readPictureProvenance(
  bytes: Uint8Array,
  name: string,
): Promise<RecordedPicture | undefined> {
  const { metadata, format } = await inPictureFile(name, decodePicture(bytes));
  const text = metadata["pixstage"];
  if (text === undefined) return undefined;
  const provenance = parseProvenance(text, name);
  const { image } = parseValue(
    imageSchema,
    JSON.parse(text),
    ({ clause }, options) =>
      new FormatError(`Cannot read how ${name} was made: in its "pixstage" metadata, ${clause}`, options),
  );
  return { provenance, image, format };
}
