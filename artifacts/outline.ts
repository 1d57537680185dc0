// This module is browser compatible.

/**
 * The outline of an artifact: what can be known about it before it is made or read.
 *
 * @module
 */

import { z } from "zod";
import type { Artifact, JsonObject } from "./artifact.ts";

/** Maximum number of axes of a tensor in an outline. */
const MOST_AXES = 16;

/** The schema of {@linkcode ArtifactOutline}. Plans multiply its sizes, so each one is a whole number. */
export const outlineSchema = z.strictObject({
  /** The artifact's kind. */
  kind: z.string(),
  /** Shapes of its tensors, by name. Unknown ones are missing. */
  shapes: z.record(z.string(), z.array(z.int().nonnegative()).max(MOST_AXES)),
  /** The artifact's metadata, as far as it is known. */
  metadata: z.record(z.string(), z.json()),
  /** Number of tokens of each text, if the artifact contains embeddings. */
  tokens: z.array(z.int().nonnegative()).optional(),
});

/** The known properties of an artifact before it exists. */
export interface ArtifactOutline {
  readonly kind: string;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly metadata: JsonObject;
  readonly tokens?: readonly number[] | undefined;
}

/** Returns the outline of an artifact in memory. */
export function outlineOf({ kind, tensors, metadata }: Artifact): ArtifactOutline {
  const shapes = Object.entries(tensors).map(([name, { shape }]) => [name, shape] as const);
  return { kind, shapes: Object.fromEntries(shapes), metadata };
}
