// This module is browser compatible.

import type { FloatDType } from "../artifacts/half_precision.ts";
import type { JsonObject } from "../artifacts/artifact.ts";

/** A stream of normally distributed numbers. */
export interface NoiseGenerator {
  /**
   * Returns the next numbers of the stream.
   *
   * @param count The number of values.
   * @param dtype The type of the tensor that PyTorch would fill. The result is float32 with values of that
   * type.
   * @default {"float32"}
   */
  randn(count: number, dtype?: FloatDType): Float32Array;
  /** Returns the position in the stream as JSON, for `restoreGenerator`. */
  state(): JsonObject;
}
