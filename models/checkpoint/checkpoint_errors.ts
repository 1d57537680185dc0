// This module is browser compatible.

/**
 * What can be wrong with a checkpoint.
 *
 * @module
 */

/** A checkpoint that cannot be read: a missing, torn or contradictory file. The base of the others. */
export class CheckpointError extends Error {
  override name = "CheckpointError";
}

/** A pipeline or model class that is not one of PixArt's. */
export class UnsupportedArchitectureError extends CheckpointError {
  override name = "UnsupportedArchitectureError";
}

/** A component that was asked for and that the checkpoint does not hold. */
export class MissingComponentError extends CheckpointError {
  override name = "MissingComponentError";
}

/** A variant of the weights (`fp16`) that was asked for and that the checkpoint does not hold. */
export class MissingVariantError extends CheckpointError {
  override name = "MissingVariantError";
}

/** A tensor that the architecture needs and that the checkpoint does not hold. */
export class MissingWeightError extends CheckpointError {
  override name = "MissingWeightError";
}

/** A tensor whose shape is not the one that the configuration asks for. */
export class WeightShapeError extends CheckpointError {
  override name = "WeightShapeError";
}
