// This module is browser compatible.

/**
 * The files of a checkpoint's tokenizer, unparsed.
 *
 * @module
 */

import { artifactId } from "../../artifacts/artifact_file.ts";
import { hashJson } from "../../artifacts/canonical_json.ts";
import type { TokenizerFiles } from "../../text/tokenizer.ts";
import { listNames } from "../../errors/list_names.ts";
import { MissingComponentError } from "./checkpoint_errors.ts";
import { type CheckpointSource, joinPath } from "./source.ts";

export type { TokenizerFiles };

/** Computes the fingerprint of a tokenizer's files: SHA-256 in hexadecimal. */
export async function tokenizerFingerprint({ spieceModel, ...texts }: TokenizerFiles): Promise<string> {
  const model = spieceModel ? await artifactId(spieceModel) : null;
  const present = Object.entries(texts).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return await hashJson({ ...Object.fromEntries(present), spieceModel: model });
}

/**
 * Reads the files of a tokenizer.
 *
 * @param source The checkpoint.
 * @param folder The tokenizer's folder.
 * @returns The files that exist.
 * @throws {MissingComponentError} if both `tokenizer.json` and `spiece.model` are missing.
 */
export async function readTokenizerFiles(source: CheckpointSource, folder: string): Promise<TokenizerFiles> {
  const files = await source.list(folder);
  if (!files.includes("tokenizer.json") && !files.includes("spiece.model")) {
    throw new MissingComponentError(
      `Cannot open the tokenizer of ${source.name}: the folder ${folder} must contain tokenizer.json or spiece.model, ` +
        `but contains ${listNames(files)}`,
    );
  }
  const text = async <K extends string>(key: K, file: string): Promise<{ readonly [key in K]?: string }> =>
    files.includes(file)
      ? { [key]: await source.readText(joinPath(folder, file)) } as { readonly [key in K]: string }
      : {};
  return {
    ...await text("tokenizerJson", "tokenizer.json"),
    ...await text("tokenizerConfig", "tokenizer_config.json"),
    ...await text("addedTokens", "added_tokens.json"),
    ...await text("specialTokensMap", "special_tokens_map.json"),
    ...(files.includes("spiece.model")
      ? { spieceModel: await source.readBytes(joinPath(folder, "spiece.model")) }
      : {}),
  };
}
