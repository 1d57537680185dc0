// This module is browser compatible.

/**
 * What can be wrong with a checkpoint.
 *
 * @module
 */

import { PixstageError, type PixstageErrorOptions } from "../../errors/pixstage_error.ts";

/** The codes of errors of checkpoints. */
export type CheckpointErrorCode =
  | "invalid_checkpoint"
  | "unsupported_architecture"
  | "missing_component"
  | "missing_variant"
  | "missing_weight"
  | "weight_shape"
  | "model_not_found";

/** What an error of a checkpoint carries besides its message. */
export interface CheckpointErrorOptions extends PixstageErrorOptions {
  /**
   * What happened.
   *
   * @default {"invalid_checkpoint"}
   */
  readonly code?: CheckpointErrorCode | undefined;
}

/** A checkpoint that cannot be read: a missing, torn or contradictory file. The base of the others. */
export class CheckpointError extends PixstageError<CheckpointErrorCode> {
  override name = "CheckpointError";

  /**
   * @param message Which checkpoint or file, what is wrong with it, and what to do.
   * @param options The code, details, and the error behind this one.
   */
  constructor(message: string, { code = "invalid_checkpoint", ...options }: CheckpointErrorOptions = {}) {
    super(code, message, options);
  }
}

/** A pipeline or model class that is not one of PixArt's. */
export class UnsupportedArchitectureError extends CheckpointError {
  override name = "UnsupportedArchitectureError";

  /**
   * @param message Which checkpoint or file, what is wrong with it, and what to do.
   * @param options Details, and the error behind this one.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super(message, { ...options, code: "unsupported_architecture" });
  }
}

/** A component that was asked for and that the checkpoint does not hold. */
export class MissingComponentError extends CheckpointError {
  override name = "MissingComponentError";

  /**
   * @param message Which checkpoint or file, what is wrong with it, and what to do.
   * @param options Details, and the error behind this one.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super(message, { ...options, code: "missing_component" });
  }
}

/** A variant of the weights (`fp16`) that was asked for and that the checkpoint does not hold. */
export class MissingVariantError extends CheckpointError {
  override name = "MissingVariantError";

  /**
   * @param message Which checkpoint or file, what is wrong with it, and what to do.
   * @param options Details, and the error behind this one.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super(message, { ...options, code: "missing_variant" });
  }
}

/** A tensor that the architecture needs and that the checkpoint does not hold. */
export class MissingWeightError extends CheckpointError {
  override name = "MissingWeightError";

  /**
   * @param message Which checkpoint or file, what is wrong with it, and what to do.
   * @param options Details, and the error behind this one.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super(message, { ...options, code: "missing_weight" });
  }
}

/** A tensor whose shape is not the one that the configuration asks for. */
export class WeightShapeError extends CheckpointError {
  override name = "WeightShapeError";

  /**
   * @param message Which checkpoint or file, what is wrong with it, and what to do.
   * @param options Details, and the error behind this one.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super(message, { ...options, code: "weight_shape" });
  }
}
