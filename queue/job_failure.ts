// This module is browser compatible.

/**
 * Converts errors to text and back: a queue stores a single text for each failure.
 *
 * @module
 */

import { PixstageError } from "../errors/pixstage_error.ts";
import { deserializeError, serializedErrorSchema, serializeError } from "../errors/serialized_error.ts";

/** Converts an error to the text of a failure. */
export function failureText(error: unknown): string {
  return JSON.stringify(serializeError(error));
}

/**
 * Converts the text of a failure to an error.
 *
 * @param text The text from {@linkcode failureText}, or a message of the queue itself.
 * @returns The error, with the code, fault and message that it was thrown with.
 */
export function readFailure(text: string): PixstageError | DOMException {
  const parsed = serializedErrorSchema.safeParse(jsonOf(text));
  if (parsed.success) return deserializeError(parsed.data);
  return new PixstageError("request_failed", `The queue dropped a job: ${text}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
