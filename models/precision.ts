// This module is browser compatible.

/**
 * Precisions of a model's matrices. Norms, embeddings, attention, modulation and the last projection remain
 * in float32.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { z } from "zod";
import type { RuntimeTraits } from "../runtime/runtime.ts";

/** The schema of {@linkcode Precision}, most exact first. */
export const precisionSchema = z.enum([
  "float32",
  "float16",
  "int8-blocks",
  "int8",
  "int4-lowrank",
  "int4",
]);

/**
 * The precision of a model's matrices.
 *
 * - `float32`: weights as stored, arithmetic in float32.
 * - `float16`: weights and arithmetic in float16, on devices that support it.
 * - `int8`: 8-bit weights and activations. A CPU multiplies integers, and keeps 16 bits of a text encoder's
 *   activations; a GPU computes the same as `int8-blocks`.
 * - `int8-blocks`, `int4`: weights quantized in blocks.
 * - `int4-lowrank`: `int4` with a low-rank branch beside each matrix.
 */
export type Precision = z.infer<typeof precisionSchema>;

/** A precision that quantizes weights. */
export type QuantizedPrecision = Exclude<Precision, "float32" | "float16">;

/** The name of a way to quantize weights: a precision, or the form of `int8` for text encoders on a CPU. */
export type RecipeName = QuantizedPrecision | "int8-a16";

/** Returns whether a precision quantizes weights. */
export function isQuantizedPrecision(precision: Precision): precision is QuantizedPrecision {
  return precision !== "float32" && precision !== "float16";
}

/** All precisions, most exact first. */
export const PRECISIONS: readonly Precision[] = precisionSchema.options;

/** Largest rank of the branches of `int4-lowrank`. */
export const LOW_RANK = 32;

/** Precisions by stage name. `*` stands for all other stages. */
export type PrecisionByStage = Readonly<Record<string, Precision>>;

/**
 * Returns the precision of a stage. If `*` is float16, the text encoder still computes in float32.
 *
 * @param stage The stage's name.
 * @param precisions The requested precisions.
 * @returns The precision, or undefined if none was requested.
 */
export function precisionOf(
  stage: string,
  precisions: Readonly<Record<string, Precision | undefined>> = {},
): Precision | undefined {
  const { [stage]: own, "*": all } = precisions;
  return own ?? (stage === "encode" && all === "float16" ? "float32" : all);
}

/**
 * Rejects a precision that was requested for decoding by name and that no autoencoder supports.
 *
 * @param precisions The requested precisions. What `*` requests applies to the stages that support it.
 * @throws {InputError} if the precision of `decode` quantizes weights.
 */
export function checkDecodePrecision(
  { decode }: Readonly<Record<string, Precision | undefined>> = {},
): void {
  if (decode === undefined || !isQuantizedPrecision(decode)) return;
  throw new InputError(
    "invalid_value",
    `Cannot decode in ${decode} because an autoencoder is not quantized: choose float32 or float16, or leave decode out`,
    { details: { field: "precision" } },
  );
}

/**
 * Rejects a precision that a device does not support.
 *
 * @param precision The precision.
 * @param device The device's name and traits.
 * @throws {InputError} if the precision is float16 and the device has no float16 arithmetic.
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
