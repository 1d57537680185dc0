/**
 * Writes the pictures of a run to files, each with the parameters that it was made from.
 *
 * @module
 */

import type { Artifact } from "../artifacts/artifact.ts";
import { writeAtomically } from "../artifacts/atomically.ts";
import type { Tensor } from "../artifacts/tensor.ts";
import { encodePicture, type PictureFormat } from "../images/picture.ts";
import { toPixels } from "../images/pixels.ts";
import { UsageError } from "./usage_error.ts";
import { userPath } from "./user_path.ts";

/** Where pictures go. */
export interface PictureTarget {
  /** The file; `%03d` stands for the picture's number, from 0. */
  readonly output?: string | undefined;
  /** The format; by the file's ending otherwise. */
  readonly format?: PictureFormat | undefined;
}

const FORMATS: Readonly<Record<string, PictureFormat>> = {
  png: "png",
  jpg: "jpeg",
  jpeg: "jpeg",
  webp: "webp",
};

/**
 * The format that a target asks for.
 *
 * @throws {UsageError} if the file's ending names no format and none is given.
 */
export function pictureFormat({ output, format }: PictureTarget): PictureFormat {
  if (format) return format;
  const ending = /\.([^./\\]+)$/.exec(output ?? ".png")?.[1]?.toLowerCase() ?? "";
  const named = FORMATS[ending];
  if (named) return named;
  throw new UsageError(
    `Cannot choose a format for "${output}" as its ending must be .png, .jpg, .jpeg or .webp: give --output-format`,
  );
}

/** The path of picture `index` of `count`. */
export function picturePath(output: string, index: number, count: number): string {
  const number = /%0?(\d*)d/;
  if (number.test(output)) {
    return userPath(output.replace(number, (_, width) => String(index).padStart(Number(width), "0")));
  }
  const numbered = count === 1 ? output : output.replace(/(\.[^./\\]+)?$/, (ending) => `-%03d${ending}`);
  return count === 1 ? userPath(output) : picturePath(numbered, index, count);
}

/**
 * Writes the pictures of an image artifact.
 *
 * @param artifact The pictures.
 * @param target Where they go.
 * @param describe Gives the texts that a picture carries.
 * @returns The paths written, in order.
 */
export async function savePictures(
  artifact: Artifact,
  target: PictureTarget & { readonly output: string },
  describe: (image: number) => Record<string, string>,
): Promise<string[]> {
  const format = pictureFormat(target);
  const pictures = toPixels(artifact.tensors["image"] as Tensor<"float32">);
  const paths: string[] = [];
  for (const [index, pixels] of pictures.entries()) {
    const path = picturePath(target.output, index, pictures.length);
    const bytes = await encodePicture(pixels, { format, metadata: describe(index) });
    await writeAtomically(path, [bytes]);
    paths.push(path);
  }
  return paths;
}
