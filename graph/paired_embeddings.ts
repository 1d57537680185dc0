// This module is browser compatible.

/**
 * Splits files that contain the embeddings of prompts and of negative prompts into the two artifacts that
 * they were made of. Results then do not depend on whether the embeddings passed through one file.
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

/** An artifact that a graph names by file or id, and its origin. */
export interface GivenArtifact {
  /** SHA-256 of its content. */
  readonly id: string;
  /** Kind, shapes and metadata: everything except the tensors. */
  readonly outline: ArtifactOutline;
  /** Origin of the embeddings. */
  readonly origin: Origin;
  /** Reads the artifact. */
  read(): Promise<Artifact>;
}

/** Wraps an artifact that is already in memory. */
export function atHand(id: string, artifact: Artifact, origin: Origin): GivenArtifact {
  return { id, outline: outlineOf(artifact), origin, read: () => Promise.resolve(artifact) };
}

/**
 * Splits embeddings that the stage `pair` joined.
 *
 * @param given The embeddings.
 * @returns Its two inputs, checked against the ids in its lineage, or `undefined` if `pair` did not make the
 * embeddings.
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
  // A single negative prompt was repeated for every prompt.
  const negative = await find("negative", [
    pack(negatives.slice(0, 1), negativePrompts),
    pack(negatives, negativePrompts),
  ]);
  return embeddings && negative && { embeddings, negative };
}
