// This module is browser compatible.

import { z } from "zod";
import { ArtifactError } from "../artifacts/artifact.ts";
import {
  embeddingsMetadataSchema,
  packEmbeddings,
  paddedLength,
  type PromptEmbedding,
  unpackEmbeddings,
} from "../artifacts/embeddings.ts";
import { tensor } from "../artifacts/tensor.ts";
import { defineStage, type Stage } from "./stage.ts";

/**
 * The interpolate stage: embeddings on the straight way between two. Token by token, with zeros where one prompt has no
 * token any more; at 0 and 1 the one or the other as it is.
 */
export const interpolateStage: Stage = defineStage({
  name: "interpolate",
  version: "2",
  description: "Mixes the embeddings of two prompts.",
  inputs: {
    from: { kind: "embeddings", description: "What there is at 0; without negative prompts." },
    to: { kind: "embeddings", description: "What there is at 1; as many prompts as the other one." },
  },
  outputs: {
    embeddings: { kind: "embeddings", description: "The mixture." },
  },
  parameters: z.strictObject({
    /** How far to go, from 0 to 1. */
    amount: z.number().min(0).max(1),
  }),
  run({ parameters: { amount }, inputs }) {
    const [from, to] = [unpackEmbeddings(inputs.from).prompts, unpackEmbeddings(inputs.to).prompts];
    if (from.length !== to.length || from[0]?.shape[1] !== to[0]?.shape[1]) {
      throw new ArtifactError(
        `Cannot interpolate embeddings as both must hold as many prompts and channels: they hold ${from.length} x ` +
          `${from[0]?.shape[1]} and ${to.length} x ${to[0]?.shape[1]}`,
      );
    }
    const prompts = from.map((embedding, index) => mix(embedding, to[index]!, amount));
    const length = Math.max(paddedLength(inputs.from), paddedLength(inputs.to));
    const texts = [inputs.from, inputs.to].map(({ metadata }) =>
      embeddingsMetadataSchema.parse(metadata).prompts
    );
    const described = texts[0] && texts[1]
      ? {
        prompts: texts[0].map((text, index) =>
          `${beginning(text)} → ${beginning(texts[1]![index]!)} (${amount})`
        ),
      }
      : {};
    return Promise.resolve({ embeddings: packEmbeddings({ prompts }, length, described) });
  },
});

/** Longest text of one side, in UTF-16 units: mixtures of mixtures would double it each time. */
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
