// This module is browser compatible.

/**
 * T5's tokenizer: converts prompts to the same token ids as `T5Tokenizer` of Hugging Face's transformers 5.
 *
 * A text is split at added tokens (`</s>`, `<extra_id_0>`, …). The parts are normalized and split at white
 * space, and each word, prefixed with `▁`, is split into the pieces of a Unigram model. T5Tokenizer does so
 * regardless of the normalizers and pre-tokenizers in `tokenizer.json`.
 *
 * `@huggingface/tokenizers` (tried: 0.2.0) cannot replace this file. It does not read `spiece.model`, the
 * only tokenizer file in PixArt's own repositories, and it ignores the normalizer's compiled character map:
 * of the 100 reference strings of `units/tokenizer.json`, it returns other ids for 3 with the small
 * vocabulary, and for 16 with T5's of 32,100 pieces.
 *
 * @module
 */

import { FormatError, InputError } from "../errors/pixstage_error.ts";
import {
  type AddedTokenSources,
  collectAddedTokens,
  createSplitter,
  type SplitToken,
} from "./added_tokens.ts";
import { createNormalizer } from "./precompiled_charsmap.ts";
import { readSentencePieceModel } from "./sentencepiece_model.ts";
import {
  readAddedTokens,
  readTokenizerConfig,
  readTokenizerJson,
  type TokenizerConfig,
} from "./tokenizer_config.ts";
import { Unigram } from "./unigram.ts";
import type { UnigramVocabulary } from "./unigram_vocabulary.ts";

/** The files of a tokenizer; at least one of the first two is present. */
export interface TokenizerFiles {
  /** `tokenizer.json`. */
  readonly tokenizerJson?: string;
  /** `spiece.model`. */
  readonly spieceModel?: Uint8Array<ArrayBuffer>;
  /** `tokenizer_config.json`. */
  readonly tokenizerConfig?: string;
  /** `added_tokens.json`. */
  readonly addedTokens?: string;
  /** `special_tokens_map.json`. */
  readonly specialTokensMap?: string;
}

/** T5's tokenizers have `<pad>`, `</s>` and `<unk>` at 0, 1 and 2. */
const UNKNOWN_ID = 2;
/** The number of `<extra_id_…>` tokens unless the configuration specifies another. */
const DEFAULT_EXTRA_IDS = 100;

/** A text as token ids. */
export interface EncodedText {
  /** The ids without padding, `</s>` last; at most as many as allowed. */
  readonly ids: Int32Array;
  /** Whether the text was too long and was truncated. */
  readonly truncated: boolean;
  /** The normalized text of the tokens that were dropped; empty if none were. */
  readonly droppedText: string;
}

/** Converts texts to token ids. */
export interface Tokenizer {
  /**
   * Converts a text to token ids.
   *
   * @param text The text, preprocessed as the model expects it.
   * @param maxLength The maximum number of ids, including `</s>`.
   * @returns The ids, and whether they cover the whole text.
   * @throws {InputError} if `maxLength` is not an integer above 0.
   */
  encode(text: string, maxLength: number): EncodedText;
}

/** Returns the `<extra_id_…>` tokens in the order of their ids. */
function extraTokens(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `<extra_id_${count - 1 - i}>`);
}

interface Definition {
  readonly name: string;
  readonly vocabulary: UnigramVocabulary;
  readonly listedTokens: AddedTokenSources["listedTokens"];
  readonly defaultExtraTokens: readonly string[];
}

/**
 * Reads the definition of a tokenizer; `tokenizer.json` takes precedence over `spiece.model`, as in
 * transformers.
 */
function readDefinition(files: TokenizerFiles, config: TokenizerConfig): Definition {
  const extra = extraTokens(config.extra_ids ?? DEFAULT_EXTRA_IDS);
  if (files.tokenizerJson !== undefined) {
    const name = "tokenizer.json";
    const vocabulary = readTokenizerJson(files.tokenizerJson, name);
    return { name, vocabulary, listedTokens: vocabulary.addedTokens, defaultExtraTokens: extra };
  }
  if (files.spieceModel === undefined) {
    throw new InputError(
      "invalid_value",
      "Cannot create a tokenizer without tokenizer.json or spiece.model: give one of them",
    );
  }
  const name = "spiece.model";
  const model = readSentencePieceModel(files.spieceModel, name);
  const scores = new Float64Array(model.scores.length + extra.length);
  scores.set(model.scores);
  return {
    name,
    vocabulary: { ...model, pieces: [...model.pieces, ...extra], scores },
    listedTokens: new Map(),
    defaultExtraTokens: [...model.addedPieces, ...extra],
  };
}

/** A tokenizer assembled from its parts. */
class T5Tokenizer implements Tokenizer {
  readonly #unigram: Unigram;
  readonly #normalize: (text: string) => string;
  readonly #splitWritten: ReturnType<typeof createSplitter>;
  readonly #splitNormalized: ReturnType<typeof createSplitter>;
  readonly #pieces: string[];
  readonly #endId: number;

  constructor(
    { name, vocabulary, ...definition }: Definition,
    sources: Omit<AddedTokenSources, keyof Definition>,
  ) {
    if (vocabulary.pieces.length <= UNKNOWN_ID) {
      throw new FormatError(
        `Cannot read ${name}: T5's <unk> must have id ${UNKNOWN_ID}, but the number of pieces is ${vocabulary.pieces.length}`,
      );
    }
    this.#unigram = new Unigram(vocabulary, UNKNOWN_ID);
    this.#normalize = vocabulary.charsmap === undefined
      ? (text) => text
      : createNormalizer(vocabulary.charsmap, name);

    const { tokens, end } = collectAddedTokens({ ...sources, ...definition });
    this.#pieces = [...vocabulary.pieces];
    const written = new Map<string, SplitToken>();
    const normalized = new Map<string, SplitToken>();
    for (const token of tokens) {
      const id = this.#unigram.idOf(token.content) ?? this.#pieces.push(token.content) - 1;
      const found = { id, singleWord: token.singleWord };
      if (token.normalized) normalized.set(this.#normalize(token.content), found);
      else written.set(token.content, found);
    }
    normalized.delete("");
    this.#splitWritten = createSplitter(written);
    this.#splitNormalized = createSplitter(normalized);
    this.#endId = this.#pieces.indexOf(end);
  }

  encode(text: string, maxLength: number): EncodedText {
    if (!Number.isSafeInteger(maxLength) || maxLength < 1) {
      throw new InputError(
        "out_of_range",
        `Cannot encode a text because maxLength must be an integer above 0: current value is ${maxLength}`,
      );
    }
    const ids = this.#splitWritten(text.toWellFormed()).flatMap((part) =>
      typeof part === "number" ? part : this.#encodePart(this.#normalize(part))
    );
    const kept = ids.slice(0, maxLength - 1);
    const dropped = ids.slice(maxLength - 1);
    return {
      ids: Int32Array.from([...kept, this.#endId]),
      truncated: dropped.length > 0,
      droppedText: dropped.map((id) => this.#pieces[id]).join("").replaceAll("▁", " ").trim(),
    };
  }

  #encodePart(text: string): number[] {
    return this.#splitNormalized(text).flatMap((part) =>
      typeof part === "number"
        ? part
        : part.split(/\p{White_Space}+/u).filter((word) => word !== "").flatMap((word) =>
          this.#encodeWord(word)
        )
    );
  }

  #encodeWord(word: string): number[] {
    return `▁${word.replace(/^▁/, "")}`.split(/(?=▁)/).flatMap((part) => this.#unigram.encode(part));
  }
}

/**
 * Creates T5's tokenizer from the files of a checkpoint.
 *
 * @param files The tokenizer files of the checkpoint; `tokenizer.json` or `spiece.model` must be among them.
 * @returns The tokenizer.
 * @throws {FormatError} if a file cannot be read; the message names it.
 * @throws {InputError} if both `tokenizer.json` and `spiece.model` are missing.
 *
 * @example Usage
 * ```ts
 * import { createTokenizer } from "./tokenizer.ts";
 * import assert from "node:assert/strict";
 * const vocab = [["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["▁a", -2], ["▁cat", -3], ["▁", -4]];
 * const tokenizer = createTokenizer({
 *   tokenizerJson: JSON.stringify({ added_tokens: [], normalizer: null, model: { type: "Unigram", vocab } }),
 * });
 * assert.deepEqual([...tokenizer.encode("a cat", 120).ids], [3, 4, 1]);
 * assert.equal(tokenizer.encode("a cat a cat", 3).droppedText, "a cat");
 * ```
 */
export function createTokenizer(files: TokenizerFiles): Tokenizer {
  const { tokenizerConfig, specialTokensMap, addedTokens } = files;
  const config = tokenizerConfig === undefined
    ? {}
    : readTokenizerConfig(tokenizerConfig, "tokenizer_config.json");
  return new T5Tokenizer(readDefinition(files, config), {
    config,
    specialTokensMap: specialTokensMap === undefined
      ? {}
      : readTokenizerConfig(specialTokensMap, "special_tokens_map.json"),
    addedTokens: addedTokens === undefined ? {} : readAddedTokens(addedTokens, "added_tokens.json"),
  });
}
