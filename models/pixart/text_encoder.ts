// This module is browser compatible.

/**
 * PixArt's text encoder: cleans captions like the training captions, tokenizes them for T5, and encodes them.
 *
 * Reference: `encode_prompt` of diffusers' pipeline_pixart_alpha.py and pipeline_pixart_sigma.py.
 *
 * @module
 */

import { parseConfig } from "../checkpoint/parse_config.ts";
import { captionPreprocessor } from "../../text/caption/preprocess_caption.ts";
import { createTokenizer, type Tokenizer } from "../../text/tokenizer.ts";
import type { TextEncoderModel, TextOptions, TokenizedText } from "../architecture.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { tokenizerFingerprint } from "../checkpoint/tokenizer_files.ts";
import { T5EncoderConfig } from "../t5/encoder_config.ts";
import { T5Encoder } from "../t5/encoder_runner.ts";
import { t5Facts, t5MemoryChoices } from "../t5/memory.ts";

/** Number of tokens to which the pipelines pad, by family. */
const SEQUENCE_LENGTHS: Readonly<Record<string, number>> = { alpha: 120, sigma: 300 };

/** Reads the configuration and tokenizer of a checkpoint's text encoder. */
export async function pixartTextEncoder(
  checkpoint: Checkpoint,
  { cleanCaption, maxSequenceLength }: TextOptions,
): Promise<TextEncoderModel> {
  const component = await checkpoint.component("text_encoder");
  const config = parseConfig(T5EncoderConfig, component);
  const files = await checkpoint.tokenizer();
  const preprocess = await captionPreprocessor(cleanCaption);
  const { maxSequenceLength: recommended } = checkpoint.defaults;
  const sequenceLength = maxSequenceLength ?? recommended ?? SEQUENCE_LENGTHS[checkpoint.family]!;
  // Only the start of a run tokenizes. The vocabulary's 2 MB need not stay in memory for the rest of it.
  let known: WeakRef<Tokenizer> | undefined;
  return {
    component,
    files: { tokenizer: await tokenizerFingerprint(files) },
    sequenceLength,
    channels: config.d_model,
    tokenize(text) {
      const tokenizer = known?.deref() ?? createTokenizer(files);
      known = new WeakRef(tokenizer);
      const caption = preprocess(text);
      const removed = cleanCaption ? removedByCleaning(text, caption) : undefined;
      const { ids, warnings } = tokenize(text, caption, tokenizer, sequenceLength);
      return { ids, warnings: removed === undefined ? warnings : [removed, ...warnings] };
    },
    memory: (weights, tokens, request) => t5MemoryChoices(t5Facts(config, weights), tokens, request),
    open: (runtime, weights, options) => T5Encoder.open(runtime, config, weights, options),
  };
}

function tokenize(text: string, caption: string, tokenizer: Tokenizer, length: number): TokenizedText {
  const { ids, truncated, droppedText } = tokenizer.encode(caption, length);
  const warnings: string[] = [];
  if (truncated) {
    warnings.push(
      `The prompt "${shorten(text)}" has more than ${length} tokens: "${shorten(droppedText)}" was cut off`,
    );
  }
  return { ids, warnings };
}

/** Returns a warning if cleaning removed more than half of a caption. */
function removedByCleaning(text: string, caption: string): string | undefined {
  const [before, after] = [text.trim().length, caption.length];
  if (before === 0 || after * 2 >= before) return undefined;
  const left = after === 0
    ? "left nothing: the picture is that of the empty prompt"
    : `left only "${shorten(caption)}"`;
  return `Cleaning the prompt "${
    shorten(text)
  }" ${left}. To keep it as it is, turn cleaning off (cleanCaption, ` +
    "--no-clean-caption)";
}

function shorten(text: string): string {
  const characters = [...text];
  return characters.length > 60 ? `${characters.slice(0, 60).join("")}…` : text;
}
