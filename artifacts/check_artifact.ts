// This module is browser compatible.

import type { Artifact } from "./artifact.ts";
import { embeddingsMetadata, unpackEmbeddings } from "./embeddings.ts";
import { latentsMetadata, unpackDeviation, unpackLatents } from "./latents.ts";
import { unpackMask } from "./mask.ts";

/**
 * Checks the content of an artifact against its kind, if a built-in stage defines that kind. A file from
 * another program can have the right tensors with shapes, types or values that no stage can use.
 *
 * @param artifact The artifact.
 * @throws {ArtifactError} if a tensor is missing, or if a shape, a value or the metadata does not match the
 * kind.
 * @throws {InputError} if a tensor does not contain floats.
 */
export function checkArtifact(artifact: Artifact): void {
  switch (artifact.kind) {
    case "embeddings":
      unpackEmbeddings(artifact);
      embeddingsMetadata(artifact);
      break;
    case "latents":
      unpackDeviation(artifact, unpackLatents(artifact).shape);
      latentsMetadata(artifact);
      break;
    case "mask":
      unpackMask(artifact);
  }
}
