// This module is browser compatible.

/**
 * Tokens that are recognized anywhere in a text before it is split into words: `</s>`, `<extra_id_0>`.
 *
 * @module
 */

import type { AddedToken, TokenizerConfig } from "./tokenizer_config.ts";

/** The sources of a tokenizer's added tokens. */
export interface AddedTokenSources {
  /** `tokenizer_config.json`. */
  readonly config: TokenizerConfig;
  /** `special_tokens_map.json`. */
  readonly specialTokensMap: TokenizerConfig;
  /** `added_tokens.json`. */
  readonly addedTokens: Readonly<Record<string, number>>;
  /** The added tokens of `tokenizer.json`, by id. */
  readonly listedTokens: ReadonlyMap<number, AddedToken>;
  /** The additional special tokens of a tokenizer whose files name none. */
  readonly defaultExtraTokens: readonly string[];
}

/** The added tokens of a tokenizer. */
export interface AddedTokens {
  /** Each token once, in the order in which transformers adds them. */
  readonly tokens: readonly AddedToken[];
  /** The text of the end-of-sequence token. */
  readonly end: string;
}

function special(content: string): AddedToken {
  return { content, normalized: false, singleWord: false };
}

/**
 * Collects the added tokens of a tokenizer. The other files matter only if `tokenizer_config.json` has no
 * `added_tokens_decoder`.
 */
export function collectAddedTokens(sources: AddedTokenSources): AddedTokens {
  const decoder = sources.config.added_tokens_decoder;
  const settings = decoder === undefined
    ? { ...sources.config, ...sources.specialTokensMap }
    : sources.config;
  const { extra_special_tokens: extra, additional_special_tokens: additional } = settings;
  const end = settings.eos_token ?? special("</s>");
  const roles = [
    settings.bos_token,
    end,
    settings.unk_token ?? special("<unk>"),
    settings.sep_token,
    settings.pad_token ?? special("<pad>"),
    settings.cls_token,
    settings.mask_token,
    ...(extra?.length ? extra : additional ?? extra ?? sources.defaultExtraTokens.map(special)),
  ].filter((token) => token !== null && token !== undefined);

  const contentsOfRoles = new Set(roles.map(({ content }) => content));
  const byId = new Map<number, AddedToken>(
    decoder === undefined
      ? [
        ...Object.entries(sources.addedTokens).map(([content, id]): [number, AddedToken] => [
          id,
          { ...special(content), normalized: !contentsOfRoles.has(content) },
        ]),
        ...sources.listedTokens,
      ]
      : Object.entries(decoder).map(([id, token]): [number, AddedToken] => [Number(id), token]),
  );
  const tokens = new Map<string, AddedToken>();
  for (const token of [...[...byId].sort(([a], [b]) => a - b).map(([, token]) => token), ...roles]) {
    if (token.content !== "" && !tokens.has(token.content)) tokens.set(token.content, token);
  }
  return { tokens: [...tokens.values()], end: end.content };
}

/** A part of a text: the text between added tokens, or the id of an added token. */
export type TextPart = string | number;

/** A token at which texts are split. */
export interface SplitToken {
  /** The token's id. */
  readonly id: number;
  /** Whether the token counts only if no letter, digit or underscore touches it. */
  readonly singleWord: boolean;
}

/**
 * The characters with a meaning in regular expressions. `RegExp.escape` is missing in Node before version 24.
 */
const SYNTAX = /[\\^$.*+?()[\]{}|/]/g;

/** `\w` in the regular expressions of Rust, which tokenizers uses. */
const WORD = String.raw`[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]`;
const ENDS_WITH_WORD = new RegExp(`${WORD}$`, "u");
const STARTS_WITH_WORD = new RegExp(`^${WORD}`, "u");

/**
 * Returns a function that splits a text at tokens. Of several tokens that start at the same place, the
 * longest one counts. A single-word token that touches a word is skipped, together with the tokens that
 * overlap it (`find_matches` in `added_vocabulary.rs` of tokenizers).
 *
 * @param tokens The tokens by their texts.
 * @returns The function. It omits empty parts.
 */
export function createSplitter(tokens: ReadonlyMap<string, SplitToken>): (text: string) => TextPart[] {
  if (tokens.size === 0) return (text) => text === "" ? [] : [text];
  const longestFirst = [...tokens.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map((token) => token.replaceAll(SYNTAX, "\\$&")).join("|"), "gu");
  return (text) => {
    const parts: TextPart[] = [];
    let end = 0;
    for (const { 0: content, index } of text.matchAll(pattern)) {
      const { id, singleWord } = tokens.get(content)!;
      if (singleWord && touchesWord(text, index, index + content.length)) continue;
      parts.push(text.slice(end, index), id);
      end = index + content.length;
    }
    parts.push(text.slice(end));
    return parts.filter((part) => part !== "");
  };
}

/** Returns whether a word character touches the span; a code point has at most two UTF-16 units. */
function touchesWord(text: string, start: number, end: number): boolean {
  return ENDS_WITH_WORD.test(text.slice(Math.max(0, start - 2), start)) ||
    STARTS_WITH_WORD.test(text.slice(end, end + 2));
}
