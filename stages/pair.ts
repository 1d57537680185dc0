// This module is browser compatible.

import { z } from "zod";
import { ArtifactError } from "../artifacts/artifact.ts";
import {
  embeddingsMetadataSchema,
  packEmbeddings,
  paddedLength,
  unpackEmbeddings,
} from "../artifacts/embeddings.ts";
import { defineStage, type Stage } from "./stage.ts";

/**
 * The pair stage: puts prompts and negative prompts into one artifact, as diffusers saves them. `denoise` takes them apart
 * just as well, so it serves files that are to hold both, and graphs that were written before `denoise` had an input
 * `negative`.
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
