// This module is browser compatible.

/**
 * Errors about checkpoints.
 *
 * @module
 */

import { PixstageError, type PixstageErrorOptions } from "../../errors/pixstage_error.ts";

/** Codes of checkpoint errors. */
export type CheckpointErrorCode =
  | "invalid_checkpoint"
  | "unsupported_architecture"
  | "missing_component"
  | "missing_variant"
  | "missing_weight"
  | "weight_shape"
  | "model_not_found";

/** Options of a checkpoint error. */
export interface CheckpointErrorOptions extends PixstageErrorOptions {
  /**
   * Machine-readable code of the error.
   *
   * @default {"invalid_checkpoint"}
   */
  readonly code?: CheckpointErrorCode | undefined;
}

/**
 * Thrown if a checkpoint cannot be read because a file is missing, truncated or contradictory. Base class of
 * the other errors here.
 */
export class CheckpointError extends PixstageError<CheckpointErrorCode> {
  override name = "CheckpointError";

  /**
   * @param message The checkpoint or file, the problem, and what to do.
   * @param options The code, details, and the cause.
   */
  constructor(message: string, { code = "invalid_checkpoint", ...options }: CheckpointErrorOptions = {}) {
    super(code, message, options);
  }
}

/** Thrown if no architecture supports a pipeline class, model class or configuration value. */
export class UnsupportedArchitectureError extends CheckpointError {
  override name = "UnsupportedArchitectureError";

  /**
   * @param message The checkpoint or file, the problem, and what to do.
   * @param options Details, and the cause.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super(message, { ...options, code: "unsupported_architecture" });
  }
}

/** Thrown if a checkpoint does not contain a requested component. */
export class MissingComponentError extends CheckpointError {
  override name = "MissingComponentError";

  /**
   * @param message The checkpoint or file, the problem, and what to do.
   * @param options Details, and the cause.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super(message, { ...options, code: "missing_component" });
  }
}

/** Thrown if a checkpoint does not contain the requested variant of the weights, such as `fp16`. */
export class MissingVariantError extends CheckpointError {
  override name = "MissingVariantError";

  /**
   * @param message The checkpoint or file, the problem, and what to do.
   * @param options Details, and the cause.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super(message, { ...options, code: "missing_variant" });
  }
}

/** Thrown if a checkpoint does not contain a tensor that the architecture needs. */
export class MissingWeightError extends CheckpointError {
  override name = "MissingWeightError";

  /**
   * @param message The checkpoint or file, the problem, and what to do.
   * @param options Details, and the cause.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super(message, { ...options, code: "missing_weight" });
  }
}

/** Thrown if the shape of a tensor contradicts the configuration. */
export class WeightShapeError extends CheckpointError {
  override name = "WeightShapeError";

  /**
   * @param message The checkpoint or file, the problem, and what to do.
   * @param options Details, and the cause.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super(message, { ...options, code: "weight_shape" });
  }
}
