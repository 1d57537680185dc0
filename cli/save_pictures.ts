/**
 * Writes the pictures of a run to files, each with its generation parameters in the metadata.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import type { Artifact } from "../artifacts/artifact.ts";
import type { ArtifactOutline } from "../artifacts/outline.ts";
import { isStream } from "../disk/output_file.ts";
import type { Tensor } from "../artifacts/tensor.ts";
import { InputError } from "../errors/pixstage_error.ts";
import { encodePicture, type PictureFormat, pictureFormatOf } from "../images/picture.ts";
import { toPixels } from "../images/pixels.ts";
import { checkOutputs, isStdout, outputPath, writeOutput } from "./output.ts";
import { UsageError } from "./usage_error.ts";

/** The destination of pictures. */
export interface PictureTarget {
  /** Path of the file. `%03d` stands for the index of the picture, counted from 0. */
  readonly output?: string | undefined;
  /** Format of the file. The default follows from its extension. */
  readonly format?: PictureFormat | undefined;
}

/** Maximum number of files that are checked before a run. Each check writes to the disk. */
const MOST_CHECKED = 256;

/** Matches the placeholder for the index in a file name. `100%done` and `my%20dog` contain none. */
const NUMBER = /%(?:0(\d{1,2}))?d(?!\p{L})/u;

/**
 * Returns the format of a target. On the standard output, which has no extension, the default is PNG.
 *
 * @param target The file, and its format if the user gave one.
 * @param command Whether the command has the option `--output-format`, which the error then advises.
 * @throws {UsageError} if no format is given and the extension does not name one.
 */
export function pictureFormat(
  { output = ".png", format }: PictureTarget,
  { hasFormatOption = false }: { readonly hasFormatOption?: boolean } = {},
): PictureFormat {
  if (format) return format;
  if (isStdout(output)) return "png";
  try {
    return pictureFormatOf(output);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new UsageError(
      `${error.message}: ${hasFormatOption ? "give --output-format" : "give another name"}`,
    );
  }
}

/**
 * Returns the file name of picture `index` of `count`. If there are several pictures and the name has no
 * placeholder for the index, the index is inserted.
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
 * Returns the names of the files that receive the pictures of a run, of very many pictures only the first.
 *
 * @param output The name of the output, as the user gave it.
 * @param count The number of pictures.
 */
export async function pictureFiles(output: string, count: number): Promise<string[]> {
  if (isStdout(output) || await isStream(outputPath(output))) return [output];
  return Array.from(
    { length: Math.min(count, MOST_CHECKED) },
    (_, index) => numberedOutput(output, index, count),
  );
}

/**
 * Checks that the pictures of a prepared run can be written.
 *
 * @param outline What is known about the pictures.
 * @param output The name of the output.
 * @throws {FileError} if a file is a folder or cannot be written.
 */
export async function checkPictureFiles(outline: ArtifactOutline | undefined, output: string): Promise<void> {
  const count = outline?.shapes["image"]?.[0];
  if (count !== undefined) await checkOutputs(await pictureFiles(output, count), {});
}

/**
 * Writes the pictures of an image artifact. On the standard output, a pipe or a device, they follow one
 * another.
 *
 * @param artifact The pictures.
 * @param target Where the pictures are written.
 * @param describe Returns the metadata texts of a picture.
 * @returns The paths of the written files, in order.
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
