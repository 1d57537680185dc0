// This module is browser compatible.

/**
 * Precisions of a model's matrices. Norms, embeddings, attention, modulation and the last projection stay in float32.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { z } from "zod";
import type { RuntimeTraits } from "../runtime/runtime.ts";

/**
 * A precision of matrices.
 *
 * - `float32`: weights as they are stored, arithmetic in float32.
 * - `float16`: weights and arithmetic in float16, on devices that have it.
 * - `int8`: weights and activations of 8 bits: on a CPU products of integers, on a GPU the same as `int8-blocks`.
 * - `int8-blocks`, `int4`: weights quantized in blocks.
 */
export type Precision = "float32" | "float16" | "int8-blocks" | "int8" | "int4";

/** A precision that quantizes weights. */
export type QuantizedPrecision = Exclude<Precision, "float32" | "float16">;

/** Whether a precision quantizes weights. */
export function isQuantizedPrecision(precision: Precision): precision is QuantizedPrecision {
  return precision !== "float32" && precision !== "float16";
}

/** All precisions, the most exact first. */
export const PRECISIONS: readonly Precision[] = ["float32", "float16", "int8-blocks", "int8", "int4"];

/** The schema of {@linkcode Precision}. */
export const precisionSchema = z.enum(["float32", "float16", "int8-blocks", "int8", "int4"]);

/** Precisions by the stage's name; `*` stands for all others. */
export type PrecisionByStage = Readonly<Record<string, Precision>>;

/**
 * The precision of a stage. Where all stages are asked for float16, a text encoder computes in float32.
 *
 * @param stage The stage's name.
 * @param precisions The precisions that were asked for.
 * @returns The precision, or undefined where none was asked for.
 */
export function precisionOf(
  stage: string,
  precisions: Readonly<Record<string, Precision | undefined>> = {},
): Precision | undefined {
  const { [stage]: own, "*": all } = precisions;
  return own ?? (stage === "encode" && all === "float16" ? "float32" : all);
}

/**
 * Refuses a precision that a device lacks.
 *
 * @param precision The precision.
 * @param device The device's name and traits.
 * @throws {InputError} if it is float16 and the device has no float16 arithmetic.
 */
export function checkPrecision(
  precision: Precision,
  device: { readonly device: string; readonly traits: RuntimeTraits },
): void {
  if (precision !== "float16" || device.traits.float16) return;
  throw new InputError(
    "invalid_value",
    `Cannot compute in float16 on ${device.device}: it is slower there than float32, and less exact. ` +
      "Choose float32, int8 or int4, or a GPU (webgpu, cuda)",
    { details: { field: "precision" } },
  );
}
