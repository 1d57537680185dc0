// This module is browser compatible.

import { z } from "zod";
import { ArtifactError } from "../artifacts/artifact.ts";
import { embeddingsMetadataSchema, packEmbeddings, unpackEmbeddings } from "../artifacts/embeddings.ts";
import { defineStage, type Stage } from "./stage.ts";

/**
 * The pair stage: lays the embedding of one negative prompt beside those of the prompts, as guidance needs them. It is a
 * stage of its own so that the negative prompt, most often the empty one, is encoded once ever.
 */
export const pairStage: Stage = defineStage({
  name: "pair",
  version: "1",
  description: "Lays negative prompt embeddings beside prompt embeddings, for guidance.",
  inputs: {
    positive: { kind: "embeddings", description: "Embeddings of the prompts." },
    negative: {
      kind: "embeddings",
      description: "Embeddings of one negative prompt, or of one for each prompt.",
    },
  },
  outputs: {
    embeddings: { kind: "embeddings", description: "Both, in the tensors that diffusers knows." },
  },
  parameters: z.strictObject({}),
  run({ inputs }) {
    const { prompts } = unpackEmbeddings(inputs.positive);
    const { prompts: given } = unpackEmbeddings(inputs.negative);
    if (given.length !== 1 && given.length !== prompts.length) {
      throw new ArtifactError(
        `Cannot pair embeddings as there must be 1 or ${prompts.length} negative prompts: there are ${given.length}`,
      );
    }
    const negatives = prompts.map((_, index) => given[given.length === 1 ? 0 : index]!);
    const length = Math.max(...[inputs.positive, inputs.negative].map(paddedLength));
    const { prompts: positivePrompts } = embeddingsMetadataSchema.parse(inputs.positive.metadata);
    const { prompts: negativePrompts } = embeddingsMetadataSchema.parse(inputs.negative.metadata);
    const embeddings = packEmbeddings({ prompts, negatives }, length, {
      ...inputs.positive.metadata,
      ...(positivePrompts ? { prompts: positivePrompts } : {}),
      ...(negativePrompts ? { negativePrompts } : {}),
    });
    return Promise.resolve({ embeddings });
  },
});

/** The length that an embeddings artifact is padded to. */
function paddedLength(artifact: { tensors: Readonly<Record<string, { shape: readonly number[] }>> }): number {
  return artifact.tensors["prompt_embeds"]?.shape[1] ?? 0;
}
