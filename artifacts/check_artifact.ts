// This module is browser compatible.

import type { Artifact } from "./artifact.ts";
import { embeddingsMetadata, unpackEmbeddings } from "./embeddings.ts";
import { latentsMetadata, unpackDeviation, unpackLatents } from "./latents.ts";
import { unpackMask } from "./mask.ts";

/**
 * Holds the content of an artifact against its kind, where the kind is one of the built-in stages': a file
 * from elsewhere may have the right tensors in shapes, types or values that no stage can use.
 *
 * @param artifact The artifact.
 * @throws {ArtifactError} if a tensor is missing, or its shape, a value or the metadata is not as the kind
 * has it.
 * @throws {InputError} if a tensor holds no floats.
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
