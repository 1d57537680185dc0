// This module is browser compatible.

/**
 * Precisions of matrices. Norms, embeddings, attention, the adaLN parts and the last projection stay in float32.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../errors/pixstage_error.ts";
import { parseByStage } from "./by_stage.ts";

/**
 * A precision of matrices: weights as they are stored and float32 arithmetic; weights and arithmetic in float16; weights
 * quantized in blocks.
 */
export type Precision = "float32" | "float16" | "int8" | "int4";

/** All precisions, best first. */
export const PRECISIONS: readonly Precision[] = ["float32", "float16", "int8", "int4"];

/** The schema of {@linkcode Precision}. */
export const precisionSchema = z.enum(["float32", "float16", "int8", "int4"]);

/** Precisions of the text encoder: values of T5 outgrow float16, so that it has no such arithmetic here. */
export const encodePrecisionSchema = precisionSchema.exclude(["float16"]);

/** Precisions by the stage's name; `*` stands for all others. */
export type PrecisionByStage = Readonly<Record<string, Precision>>;

/**
 * Reads a precision option: `int8`, or `encode=int8,denoise=float32`.
 *
 * @param text The option.
 * @returns The precision of each stage; `*` stands for those that are not named.
 * @throws {InputError} if a precision is none of these, or the stage has it not.
 */
export function parsePrecision(text: string): PrecisionByStage {
  const precisions = parseByStage(text, "precision", PRECISIONS);
  if (precisions["encode"] === "float16") {
    throw new InputError(
      "invalid_value",
      `Cannot encode in float16 as values of T5 outgrow it: choose one of ${
        encodePrecisionSchema.options.join(", ")
      }. Weights that are stored in float16 are used as they are`,
    );
  }
  return precisions;
}

/**
 * The precision of a stage. Where all stages are asked for float16, the text encoder computes in float32.
 *
 * @param stage The stage's name.
 * @param precisions What was asked for.
 * @returns The precision; undefined if nothing was asked for.
 */
export function precisionOf(
  stage: string,
  precisions: Readonly<Record<string, Precision | undefined>> = {},
): Precision | undefined {
  const { [stage]: own, "*": all } = precisions;
  return own ?? (stage === "encode" && all === "float16" ? "float32" : all);
}

/**
 * Refuses a precision that a device has not.
 *
 * @param precision The precision.
 * @param device The device.
 * @throws {InputError} if it is float16 on a CPU.
 */
export function checkPrecision(precision: Precision, device: string): void {
  if (precision !== "float16" || device !== "cpu") return;
  throw new InputError(
    "invalid_value",
    "Cannot compute in float16 on cpu as it is slower there than float32, and less exact: " +
      "choose float32, int8 or int4, or a GPU (webgpu, cuda)",
  );
}
