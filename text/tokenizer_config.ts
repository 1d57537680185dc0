// This module is browser compatible.

/**
 * The JSON files of a T5 tokenizer, validated.
 *
 * @module
 */

import { base64Decode } from "@bufbuild/protobuf/wire";
import { z } from "zod";
import { parseValue } from "../errors/parse_value.ts";
import { FormatError } from "../errors/pixstage_error.ts";
import type { UnigramVocabulary } from "./unigram_vocabulary.ts";

/** A token that is recognized literally. */
export interface AddedToken {
  /** The token's text. */
  readonly content: string;
  /** Whether the token is itself normalized and is searched for in normalized text. */
  readonly normalized: boolean;
  /** Whether the token is recognized only if no letter, digit or underscore touches it. */
  readonly singleWord: boolean;
}

const ListedToken = z.object({
  content: z.string(),
  normalized: z.boolean().optional(),
  special: z.boolean().default(false),
  single_word: z.boolean().default(false),
}).transform(({ content, normalized, special, single_word }): AddedToken => ({
  content,
  normalized: normalized ?? !special,
  singleWord: single_word,
}));

/** A token with a role is special even if it does not say so. */
const RoleToken = z.union([
  z.string().transform((content): AddedToken => ({ content, normalized: false, singleWord: false })),
  z.object({
    content: z.string(),
    normalized: z.boolean().default(false),
    single_word: z.boolean().default(false),
  }).transform(({ content, normalized, single_word }): AddedToken => ({
    content,
    normalized,
    singleWord: single_word,
  })),
]);

const RoleTokens = z.union([
  z.array(RoleToken),
  z.record(z.string(), RoleToken).transform((byRole): AddedToken[] => Object.values(byRole)),
]).nullish();

const Config = z.object({
  added_tokens_decoder: z.record(z.string().regex(/^\d{1,9}$/), ListedToken).optional(),
  bos_token: RoleToken.nullish(),
  eos_token: RoleToken.nullish(),
  unk_token: RoleToken.nullish(),
  sep_token: RoleToken.nullish(),
  pad_token: RoleToken.nullish(),
  cls_token: RoleToken.nullish(),
  mask_token: RoleToken.nullish(),
  extra_special_tokens: RoleTokens,
  additional_special_tokens: RoleTokens,
  extra_ids: z.int().min(0).max(100_000).optional(),
});

/** The tokens in `tokenizer_config.json` or `special_tokens_map.json`, under the names that the files use. */
export type TokenizerConfig = z.output<typeof Config>;

const AddedTokens = z.record(z.string(), z.int().min(0));

const Normalizer = z.looseObject({ type: z.string(), precompiled_charsmap: z.base64().optional() });

const TokenizerJson = z.object({
  added_tokens: z.array(z.object({ id: z.int().min(0) }).and(ListedToken)).default([]),
  normalizer: Normalizer.extend({ normalizers: z.array(Normalizer).optional() }).nullish(),
  model: z.object({
    type: z.literal("Unigram"),
    // With tens of thousands of entries, validation happens while they are copied.
    vocab: z.custom<readonly unknown[]>(Array.isArray, "must be a list"),
  }),
});

/** The content of `tokenizer.json`. */
export interface TokenizerJson extends UnigramVocabulary {
  /** The added tokens, by id. */
  readonly addedTokens: ReadonlyMap<number, AddedToken>;
}

function read<T>(schema: z.ZodType<T>, text: string, name: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FormatError(`Cannot parse ${name} as JSON: ${reason}`, { cause });
  }
  return parseValue(
    schema,
    value,
    ({ clause }, options) =>
      new FormatError(`Cannot read ${name} as a file of a T5 tokenizer: ${clause}`, options),
  );
}

/**
 * Reads `tokenizer_config.json` or `special_tokens_map.json`.
 *
 * @throws {FormatError} if the text is not the content of such a file.
 */
export function readTokenizerConfig(text: string, name: string): TokenizerConfig {
  return read(Config, text, name);
}

/**
 * Reads `added_tokens.json`: token ids by their text.
 *
 * @throws {FormatError} if the text is not the content of such a file.
 */
export function readAddedTokens(text: string, name: string): Record<string, number> {
  return read(AddedTokens, text, name);
}

/**
 * Reads `tokenizer.json`. Of its normalizers, only the precompiled map is used. Its pre-tokenizer is ignored,
 * because T5's tokenizer has its own.
 *
 * @throws {FormatError} if the text is not the content of such a file, or the model is not a Unigram model.
 */
export function readTokenizerJson(text: string, name: string): TokenizerJson {
  const { model: { vocab }, normalizer, added_tokens } = read(TokenizerJson, text, name);
  const pieces: string[] = [];
  const scores = new Float64Array(vocab.length);
  for (const entry of vocab) {
    const piece: unknown = Array.isArray(entry) ? entry[0] : undefined;
    const score: unknown = Array.isArray(entry) ? entry[1] : undefined;
    if (typeof piece !== "string" || typeof score !== "number") {
      throw new FormatError(
        `Cannot read ${name}: entry ${pieces.length} of its vocabulary must be a piece and a score, ` +
          `but is ${JSON.stringify(entry)}`,
      );
    }
    scores[pieces.length] = score;
    pieces.push(piece);
  }
  const charsmap = (normalizer?.type === "Sequence" ? normalizer.normalizers ?? [] : [normalizer])
    .find((candidate) => candidate?.type === "Precompiled")?.precompiled_charsmap;
  return {
    pieces,
    scores,
    ...(charsmap === undefined ? {} : { charsmap: base64Decode(charsmap) }),
    addedTokens: new Map(added_tokens.map(({ id, ...token }) => [id, token])),
  };
}
