// This module is browser compatible.

/**
 * Artifacts: what flows between stages. Named tensors plus metadata; on disk one safetensors file.
 *
 * @module
 */

import { PixstageError, type PixstageErrorOptions } from "../errors/pixstage_error.ts";
import type { Tensor } from "./tensor.ts";

/** A value that JSON can hold. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** An object that JSON can hold. */
export type JsonObject = { readonly [key: string]: JsonValue };

/** Named tensors with metadata, of a kind that ports are typed by (`embeddings`, `latents`, `image`, …). */
export interface Artifact {
  /** What this is; a port accepts artifacts of its own kind alone. */
  readonly kind: string;
  /** The tensors, by name. */
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** What else is known of it: prompts, seeds, sizes. Each kind has a zod schema for it. */
  readonly metadata: JsonObject;
}

/** An artifact that is missing, cannot be read, or does not hold what its use needs. */
export class ArtifactError extends PixstageError<"invalid_artifact" | "artifact_not_found"> {
  override name = "ArtifactError";

  /**
   * @param message Which artifact, what is wrong with it, and what its use needs.
   * @param options The code, details, and the error behind this one.
   */
  constructor(
    message: string,
    { code = "invalid_artifact", ...options }: PixstageErrorOptions & {
      readonly code?: "invalid_artifact" | "artifact_not_found";
    } = {},
  ) {
    super(code, message, options);
  }
}
