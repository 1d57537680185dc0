// This module is browser compatible.

/**
 * Precisions that weights of matrices can be held in. Norms, embeddings, biases and what is computed stay in float32.
 *
 * @module
 */

import { z } from "zod";

/** A precision of weights: as they are stored, or quantized in blocks. */
export type Precision = "float32" | "int8" | "int4";

/** All precisions, best first. */
export const PRECISIONS: readonly Precision[] = ["float32", "int8", "int4"];

/** The schema of {@linkcode Precision}. */
export const precisionSchema = z.enum(["float32", "int8", "int4"]);

/** Precisions by the stage's name; `*` stands for all others. */
export type PrecisionByStage = Readonly<Record<string, Precision>>;

/**
 * Reads a precision option: `int8`, or `encode=int8,denoise=float32`.
 *
 * @param text The option.
 * @returns The precision of each stage; `*` stands for those that are not named.
 * @throws {RangeError} if a precision is none of the three.
 */
export function parsePrecision(text: string): PrecisionByStage {
  return Object.fromEntries(
    text.split(",").map((part) => {
      const equals = part.indexOf("=");
      const stage = equals < 0 ? "*" : part.slice(0, equals).trim();
      const precision = PRECISIONS.find((known) => known === part.slice(equals + 1).trim());
      if (precision === undefined || stage === "") {
        throw new RangeError(
          `Cannot read a precision as it must be one of ${
            PRECISIONS.join(", ")
          }, or stage=precision with commas ` +
            `between them: current value is "${part}"`,
        );
      }
      return [stage, precision];
    }),
  );
}
