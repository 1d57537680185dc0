// This module is browser compatible.

/**
 * Artifacts: the data that flows between stages. An artifact is named tensors plus metadata. On disk it is
 * one safetensors file.
 *
 * @module
 */

import { PixstageError, type PixstageErrorOptions } from "../errors/pixstage_error.ts";
import type { Tensor } from "./tensor.ts";

/** A JSON value. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** A JSON object. */
export type JsonObject = { readonly [key: string]: JsonValue };

/** Named tensors with metadata. The kind types the ports (`embeddings`, `latents`, `image`, …). */
export interface Artifact {
  /** The kind of artifact. A port only accepts artifacts of its own kind. */
  readonly kind: string;
  /** The tensors, by name. */
  readonly tensors: Readonly<Record<string, Tensor>>;
  /**
   * Everything else that is known about it, e.g. prompts, seeds, sizes. Each kind has a zod schema for it.
   */
  readonly metadata: JsonObject;
}

/** An artifact is missing, cannot be read, or lacks what its use needs. */
export class ArtifactError extends PixstageError<"invalid_artifact" | "artifact_not_found"> {
  override name = "ArtifactError";

  /**
   * @param message The artifact, its fault, and what its use needs.
   * @param options The code, details, and the underlying error.
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
