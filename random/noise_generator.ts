// This module is browser compatible.

import type { FloatDType } from "../artifacts/half_precision.ts";
import type { JsonObject } from "../artifacts/artifact.ts";

/** A stream of normally distributed numbers. */
export interface NoiseGenerator {
  /**
   * The next numbers of the stream.
   *
   * @param count How many.
   * @param dtype The type that they are drawn in; what is returned are float32 numbers that it can hold.
   * @default {"float32"}
   */
  randn(count: number, dtype?: FloatDType): Float32Array;
  /** Where the stream stands, as JSON: `restoreGenerator` goes on from there. */
  state(): JsonObject;
}
