// This module is browser compatible.

/**
 * Files that hold the embeddings of prompts and of negative prompts, taken apart into the artifacts that they were made
 * of: results then do not depend on whether embeddings went through one file.
 *
 * @module
 */

import type { Artifact } from "../artifacts/artifact.ts";
import { type ArtifactOutline, outlineOf } from "../artifacts/outline.ts";
import { artifactId } from "../artifacts/artifact_file.ts";
import {
  embeddingsMetadata,
  packEmbeddings,
  paddedLength,
  type PromptEmbedding,
  unpackEmbeddings,
} from "../artifacts/embeddings.ts";
import type { Origin } from "./lineage.ts";

/** An artifact that a graph names by file or id, and where it is from. */
export interface GivenArtifact {
  /** SHA-256 of its content. */
  readonly id: string;
  /** What is known of it without its tensors. */
  readonly outline: ArtifactOutline;
  /** Where it is from. */
  readonly origin: Origin;
  /** Reads it. */
  read(): Promise<Artifact>;
}

/** An artifact that is at hand, as one that is given. */
export function atHand(id: string, artifact: Artifact, origin: Origin): GivenArtifact {
  return { id, outline: outlineOf(artifact), origin, read: () => Promise.resolve(artifact) };
}

/**
 * Takes embeddings apart that the stage `pair` put together.
 *
 * @param given The embeddings.
 * @returns Its two inputs, held against the ids that its lineage names; `undefined` where it has another lineage.
 */
export async function takePairApart(
  { origin, read }: GivenArtifact,
): Promise<{ readonly embeddings: GivenArtifact; readonly negative: GivenArtifact } | undefined> {
  if (!("maker" in origin) || origin.maker.record.stage !== "pair") return undefined;
  const { inputs, record } = origin.maker;
  const artifact = await read();
  const { prompts, negatives = [] } = unpackEmbeddings(artifact);
  const { prompts: texts, negativePrompts } = embeddingsMetadata(artifact);
  const pack = (rows: readonly PromptEmbedding[], texts: string[] | undefined): Artifact =>
    packEmbeddings({ prompts: rows }, paddedLength(artifact), texts ? { prompts: texts } : {});
  const find = async (port: string, candidates: readonly Artifact[]): Promise<GivenArtifact | undefined> => {
    for (const candidate of candidates) {
      const id = await artifactId(candidate);
      const from = inputs[port];
      if (from && id === record.inputs[port]) return atHand(id, candidate, from);
    }
    return undefined;
  };
  const embeddings = await find("positive", [pack(prompts, texts)]);
  // One negative prompt stands beside every prompt.
  const negative = await find("negative", [
    pack(negatives.slice(0, 1), negativePrompts),
    pack(negatives, negativePrompts),
  ]);
  return embeddings && negative && { embeddings, negative };
}
