/**
 * Reads prompts from a file, one per line.
 *
 * @module
 */

import { readTextFile } from "./text_file.ts";
import { UsageError } from "./usage_error.ts";
import { userPath } from "./user_path.ts";

/**
 * Returns the prompts of a command: the arguments, then those in the file. Empty lines are skipped.
 *
 * @param prompts The prompts from the command line.
 * @param options The options, which can name a file.
 * @throws {UsageError} if the file contains no prompt, or is not UTF-8.
 */
export async function allPrompts(
  prompts: readonly string[],
  { promptsFile }: { readonly promptsFile?: string },
): Promise<string[]> {
  if (promptsFile === undefined) return [...prompts];
  const path = userPath(promptsFile);
  const text = await readTextFile(path, "promptsFile");
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const found = lines.filter((line) => line !== "");
  if (found.length === 0) {
    throw new UsageError(
      `Cannot read prompts from ${promptsFile} because it is empty: write one prompt per line`,
      "promptsFile",
    );
  }
  return [...prompts, ...found];
}
