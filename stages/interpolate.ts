// This module is browser compatible.

import { z } from "zod";
import { type Artifact, ArtifactError } from "../artifacts/artifact.ts";
import {
  embeddingsMetadata,
  packEmbeddings,
  paddedLength,
  type PromptEmbedding,
  unpackEmbeddings,
} from "../artifacts/embeddings.ts";
import { tensor } from "../artifacts/tensor.ts";
import { defineStage, type Stage } from "./stage.ts";

/**
 * The interpolate stage. Interpolates linearly between two embeddings, token by token, with zeros where one
 * prompt has fewer tokens. At 0 and 1 the result is the first or the second one unchanged.
 */
export const interpolateStage: Stage = defineStage({
  name: "interpolate",
  version: "2",
  description: "Interpolates between the embeddings of two prompts.",
  inputs: {
    from: { kind: "embeddings", description: "The embeddings at 0, without negative prompts." },
    to: { kind: "embeddings", description: "The embeddings at 1, with the same number of prompts." },
  },
  outputs: {
    embeddings: { kind: "embeddings", description: "The interpolated embeddings." },
  },
  parameters: z.strictObject({
    /** Position between the embeddings, from 0 to 1. */
    amount: z.number().min(0).max(1),
  }),
  prepare({ parameters: { amount }, inputs: { from, to } }) {
    const [first, second] = [from, to].map(({ shapes }) => shapes["prompt_embeds"]);
    if (first && second) checkPairs(first, second);
    const shape = first && second && [first[0]!, Math.max(first[1]!, second[1]!)];
    return {
      identity: { amount },
      outputs: {
        embeddings: {
          kind: "embeddings",
          shapes: shape ? { prompt_embeds: [...shape, first[2]!], prompt_attention_mask: shape } : {},
          metadata: {},
        },
      },
      run: ({ inputs }) => Promise.resolve({ embeddings: interpolate(inputs, amount) }),
    };
  },
});

/** Throws if two embeddings, given by their shapes [prompts, tokens, channels], do not match. */
function checkPairs(from: readonly number[], to: readonly number[]): void {
  if (from[0] === to[0] && from[2] === to[2]) return;
  throw new ArtifactError(
    `Cannot interpolate embeddings whose numbers of prompts and channels differ: they are ${from[0]} x ` +
      `${from[2]} and ${to[0]} x ${to[2]}`,
  );
}

/** Interpolates between embeddings, prompt by prompt. */
function interpolate(
  inputs: { readonly from: Artifact; readonly to: Artifact },
  amount: number,
): Artifact {
  const [from, to] = [unpackEmbeddings(inputs.from).prompts, unpackEmbeddings(inputs.to).prompts];
  const [first, second] = [inputs.from, inputs.to].map(({ tensors }) => tensors["prompt_embeds"]!.shape);
  checkPairs(first!, second!);
  const prompts = from.map((embedding, index) => mix(embedding, to[index]!, amount));
  const length = Math.max(paddedLength(inputs.from), paddedLength(inputs.to));
  const texts = [inputs.from, inputs.to].map((input) => embeddingsMetadata(input).prompts);
  const described = texts[0] && texts[1]
    ? {
      prompts: texts[0].map((text, index) =>
        `${beginning(text)} → ${beginning(texts[1]![index]!)} (${amount})`
      ),
    }
    : {};
  return packEmbeddings({ prompts }, length, described);
}

/**
 * Maximum length of one side's text in UTF-16 units. Without it, each nested interpolation would double the
 * text.
 */
const LONGEST_TEXT = 1000;

function beginning(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT - 1).toWellFormed()}…` : text;
}

function mix(from: PromptEmbedding, to: PromptEmbedding, amount: number): PromptEmbedding {
  if (amount === 0) return from;
  if (amount === 1) return to;
  const longer = from.data.length < to.data.length ? to : from;
  const data = new Float32Array(longer.data.length);
  for (let index = 0; index < data.length; index++) {
    data[index] = (1 - amount) * (from.data[index] ?? 0) + amount * (to.data[index] ?? 0);
  }
  return tensor("float32", longer.shape, data);
}
