/**
 * Counts the prompts in a file of embeddings without reading its values.
 *
 * @module
 */

import { outlineOfFile } from "../artifacts/artifact_file.ts";
import { readSafetensorsFileHeader } from "../artifacts/files_on_disk.ts";
import type { GenOptions } from "./gen_options.ts";
import { userPath } from "./user_path.ts";

/**
 * Returns the number of prompts in a file of embeddings if the number of pictures depends on it: with several
 * seeds and no number of pictures.
 *
 * @param file The file, as the user named it.
 * @param options The seeds and the number of pictures.
 * @returns The number, or 0 if it does not matter or the file does not tell. The run explains what is wrong
 * with the file.
 * @throws {FileError} if the file cannot be read.
 * @throws {SafetensorsError} if the file is not valid safetensors.
 */
export async function embeddedPrompts(
  file: string | undefined,
  { seed, batchCount }: Pick<GenOptions, "seed" | "batchCount">,
): Promise<number> {
  if (file === undefined || batchCount !== undefined || (seed?.length ?? 0) < 2) return 0;
  const path = userPath(file);
  const { shapes } = outlineOfFile(await readSafetensorsFileHeader(path), path);
  return shapes["prompt_embeds"]?.[0] ?? 0;
}
