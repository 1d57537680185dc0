// This module is browser compatible.

/**
 * Errors on their way through a queue, which keeps one text of each failure.
 *
 * @module
 */

import { PixstageError } from "../errors/pixstage_error.ts";
import { deserializeError, serializedErrorSchema, serializeError } from "../errors/serialized_error.ts";

/** Writes an error as the text of a failure. */
export function failureText(error: unknown): string {
  return JSON.stringify(serializeError(error));
}

/**
 * Reads the text of a failure.
 *
 * @param text What {@linkcode failureText} wrote, or the queue's own words.
 * @returns The error with the code, the fault and the message that it had where it was thrown.
 */
export function readFailure(text: string): PixstageError | DOMException {
  const parsed = serializedErrorSchema.safeParse(jsonOf(text));
  if (parsed.success) return deserializeError(parsed.data);
  return new PixstageError("request_failed", `The queue gave up a job: ${text}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
