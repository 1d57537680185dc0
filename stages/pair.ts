// This module is browser compatible.

import { oneOrEach } from "../errors/expected_count.ts";
import { z } from "zod";
import { type Artifact, ArtifactError } from "../artifacts/artifact.ts";
import {
  embeddingsMetadata,
  packEmbeddings,
  paddedLength,
  unpackEmbeddings,
} from "../artifacts/embeddings.ts";
import { defineStage, type Stage } from "./stage.ts";

/**
 * The pair stage. Joins prompts and negative prompts into one artifact, as diffusers saves them. `denoise`
 * accepts either form. The stage serves files that contain both, and graphs that are older than the input
 * `negative` of `denoise`.
 */
export const pairStage: Stage = defineStage({
  name: "pair",
  version: "1",
  description: "Joins embeddings of prompts and of negative prompts for guidance.",
  inputs: {
    positive: { kind: "embeddings", description: "Embeddings of the prompts." },
    negative: {
      kind: "embeddings",
      description: "Embeddings of one negative prompt, or of one per prompt.",
    },
  },
  outputs: {
    embeddings: { kind: "embeddings", description: "Both, in tensors named as in diffusers." },
  },
  parameters: z.strictObject({}),
  prepare({ inputs: { positive, negative } }) {
    const [prompts, negatives] = [positive, negative].map(({ shapes }) => shapes["prompt_embeds"]);
    if (prompts && negatives) checkNegatives(negatives[0]!, prompts[0]!);
    const shape = prompts && negatives && [prompts[0]!, Math.max(prompts[1]!, negatives[1]!)];
    const tensors = shape
      ? {
        prompt_embeds: [...shape, prompts[2]!],
        prompt_attention_mask: shape,
        negative_prompt_embeds: [...shape, negatives[2]!],
        negative_prompt_attention_mask: shape,
      }
      : {};
    return {
      identity: {},
      outputs: { embeddings: { kind: "embeddings", shapes: tensors, metadata: {} } },
      run: ({ inputs }) => Promise.resolve({ embeddings: pairEmbeddings(inputs) }),
    };
  },
});

function checkNegatives(negatives: number, prompts: number): void {
  if (negatives === 1 || negatives === prompts) return;
  throw new ArtifactError(
    `Cannot pair embeddings: expected ${oneOrEach(prompts, "negative prompt")}, but there are ${negatives}`,
  );
}

/** Joins prompts and negative prompts. A single negative prompt is repeated for every prompt. */
function pairEmbeddings(inputs: { readonly positive: Artifact; readonly negative: Artifact }): Artifact {
  const { prompts } = unpackEmbeddings(inputs.positive);
  const { prompts: given } = unpackEmbeddings(inputs.negative);
  checkNegatives(given.length, prompts.length);
  const negatives = prompts.map((_, index) => given[given.length === 1 ? 0 : index]!);
  const length = Math.max(...[inputs.positive, inputs.negative].map(paddedLength));
  const { prompts: positivePrompts } = embeddingsMetadata(inputs.positive);
  const { prompts: negativePrompts } = embeddingsMetadata(inputs.negative);
  return packEmbeddings({ prompts, negatives }, length, {
    ...inputs.positive.metadata,
    ...(positivePrompts ? { prompts: positivePrompts } : {}),
    ...(negativePrompts ? { negativePrompts } : {}),
  });
}
