/**
 * Writes the pictures of a run to files, each with the parameters that it was made from.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import type { Artifact } from "../artifacts/artifact.ts";
import { isStream } from "../artifacts/output_file.ts";
import type { Tensor } from "../artifacts/tensor.ts";
import { InputError } from "../errors/pixstage_error.ts";
import { encodePicture, type PictureFormat, pictureFormatOf } from "../images/picture.ts";
import { toPixels } from "../images/pixels.ts";
import { isStdout, outputPath, writeOutput } from "./output.ts";
import { UsageError } from "./usage_error.ts";

/** Where pictures go. */
export interface PictureTarget {
  /** The file; `%03d` in its name stands for the picture's number, from 0. */
  readonly output?: string | undefined;
  /** The format; by the file's ending otherwise. */
  readonly format?: PictureFormat | undefined;
}

/** Where the number of a picture goes in a file's name. `100%done` and `my%20dog` hold no number. */
const NUMBER = /%(?:0(\d{1,2}))?d(?!\p{L})/u;

/**
 * The format that a target asks for. On the standard output, which has no ending, it is PNG unless one is
 * given.
 *
 * @throws {UsageError} if the file's ending names no format and none is given.
 */
export function pictureFormat({ output = ".png", format }: PictureTarget): PictureFormat {
  if (format) return format;
  if (isStdout(output)) return "png";
  try {
    return pictureFormatOf(output);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new UsageError(`${error.message}: give --output-format`);
  }
}

/**
 * The file of picture `index` of `count`. A name without a place for the number gets one where there are
 * several.
 */
export function numberedOutput(output: string, index: number, count: number): string {
  const name = basename(output);
  const pattern = NUMBER.test(name) || count === 1
    ? name
    : name.replace(/(\.[^.]+)?$/, (ending) => `-%03d${ending}`);
  const numbered = pattern.replace(NUMBER, (_, width) => String(index).padStart(Number(width ?? 0), "0"));
  return join(dirname(output), numbered);
}

/**
 * Writes the pictures of an image artifact. To the standard output, a pipe or a device they go one after
 * the other.
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
  const { output } = target;
  const format = pictureFormat(target);
  const pictures = toPixels(artifact.tensors["image"] as Tensor<"float32">);
  const encode = (index: number) => encodePicture(pictures[index]!, { format, metadata: describe(index) });
  if (isStdout(output) || await isStream(outputPath(output))) {
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      for (const index of pictures.keys()) yield await encode(index);
    };
    return [await writeOutput(output, chunks())];
  }
  const paths: string[] = [];
  for (const index of pictures.keys()) {
    const file = numberedOutput(output, index, pictures.length);
    paths.push(await writeOutput(file, [await encode(index)]));
  }
  return paths;
}
