// This module is browser compatible.

/**
 * JSON as Python writes it. diffusers' `scheduler_config.json` contains a bare `-Infinity`, which strict
 * parsers reject.
 *
 * @module
 */

import JSON5 from "json5";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { CheckpointError } from "./checkpoint_errors.ts";

/**
 * Parses a configuration file that may contain `Infinity`, `-Infinity` and `NaN`.
 *
 * @param text The file's text.
 * @param name The file's name, for errors.
 * @returns The object.
 * @throws {CheckpointError} if the text cannot be parsed or is not an object; the message names the file,
 *   line and column.
 *
 * @example Usage
 * ```ts
 * import { parseLenientJson } from "./lenient_json.ts";
 * const config = parseLenientJson(`{"lambda_min_clipped": -Infinity}`, "scheduler_config.json");
 * if (config.lambda_min_clipped !== -Infinity) throw new Error("unexpected");
 * ```
 */
export function parseLenientJson(text: string, name: string): JsonObject {
  let value: unknown;
  try {
    value = JSON5.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/^JSON5: /, "") : String(cause);
    throw new CheckpointError(`Cannot parse ${name} as JSON: ${reason}`, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CheckpointError(`Cannot parse ${name}: it must contain a JSON object`);
  }
  return value as JsonObject;
}
