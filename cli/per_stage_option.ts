/**
 * Options whose value applies to all stages, or differs by stage.
 *
 * @module
 */

import {
  checkDecodePrecision,
  type Precision,
  type PrecisionByStage,
  PRECISIONS,
} from "../models/precision.ts";
import { RESIDENCIES, type Residency } from "../models/segments.ts";

import { InputError } from "../errors/pixstage_error.ts";

/** The stages that have weights. */
const STAGES: readonly string[] = ["encode", "denoise", "decode"];

/**
 * Parses an option whose value applies to all stages, or differs by stage: `int8`, or
 * `encode=int8,denoise=float32`.
 *
 * @param text The text of the option.
 * @param what The noun for the value in errors, e.g. `precision`.
 * @param choices The allowed values.
 * @returns The value for each stage; `*` stands for all stages that are not named.
 * @throws {InputError} if a value is not allowed, or there is no such stage.
 *
 * @example Usage
 * ```ts
 * import { parseByStage } from "./per_stage_option.ts";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(parseByStage("b,decode=a", "letter", ["a", "b"]), { "*": "b", decode: "a" });
 * ```
 */
export function parseByStage<T extends string>(
  text: string,
  what: string,
  choices: readonly T[],
): Record<string, T> {
  return Object.fromEntries(
    text.split(",").map((part) => {
      const equals = part.indexOf("=");
      const stage = equals < 0 ? "*" : part.slice(0, equals).trim();
      const choice = choices.find((known) => known === part.slice(equals + 1).trim());
      if (equals >= 0 && !STAGES.includes(stage)) {
        throw new InputError(
          "invalid_value",
          `Cannot read the ${what} because the stage must be one of ${
            STAGES.join(", ")
          }: current value is "${stage}"`,
        );
      }
      if (choice !== undefined) return [stage, choice];
      throw new InputError(
        "invalid_value",
        `Cannot read the ${what}: it must be one of ${
          choices.join(", ")
        }, or stage=${what} pairs separated ` +
          `by commas. Current value is "${part}"`,
      );
    }),
  );
}

/**
 * Parses a residency option: `stream`, or `encode=stream,denoise=stage`.
 *
 * @param text The text of the option.
 * @returns The residency of each stage; `*` stands for all stages that are not named.
 * @throws {InputError} if a residency is not one of the three.
 *
 * @example Usage
 * ```ts
 * import { parseResidency } from "./per_stage_option.ts";
 * import assert from "node:assert/strict";
 * assert.deepEqual(parseResidency("stage,denoise=stream"), { "*": "stage", denoise: "stream" });
 * ```
 */
export function parseResidency(text: string): Readonly<Record<string, Residency>> {
  return parseByStage(text, "residency", RESIDENCIES);
}

/**
 * Parses a precision option: `int8`, or `encode=int8,denoise=float32`.
 *
 * @param text The text of the option.
 * @returns The precision of each stage; `*` stands for all stages that are not named.
 * @throws {InputError} if there is no such precision, or the stage does not support it.
 */
export function parsePrecision(text: string): PrecisionByStage {
  const precisions = parseByStage(text, "precision", PRECISIONS);
  const encode: Precision | undefined = precisions["encode"];
  if (encode === "float16") {
    throw new InputError(
      "invalid_value",
      "Cannot encode in float16 because the text encoder's values overflow it: choose float32, int8 or int4. " +
        "Weights that are stored in float16 need no option",
    );
  }
  checkDecodePrecision(precisions);
  return precisions;
}
