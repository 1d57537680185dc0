// This module is browser compatible.

/**
 * Errors as JSON, for the way between threads, processes and machines: an error has the same code wherever a
 * stage ran.
 *
 * @module
 */

import { z } from "zod";
import { type ErrorCode, type Fault, isErrorCode } from "./error_codes.ts";
import { isAbortError, toPixstageError } from "./foreign_error.ts";
import { PixstageError } from "./pixstage_error.ts";

/** An error sends at most so many errors behind it along. */
const LONGEST_CHAIN = 5;

/** The schema of a fault. */
export const faultSchema: z.ZodType<Fault> = z.enum(["caller", "environment", "bug"]);

const detailsSchema = z.record(z.string(), z.json());

/** An error as JSON. */
export interface SerializedError {
  /** The name of its class. */
  readonly name: string;
  /** A code of `ERROR_CODES`, or one that a newer version has. */
  readonly code: string;
  /** Who can put it right. */
  readonly fault: Fault;
  readonly message: string;
  readonly details?: z.output<typeof detailsSchema> | undefined;
  /** Where it was thrown; of bugs alone. */
  readonly stack?: string | undefined;
  /** The error behind it. */
  readonly cause?: SerializedError | undefined;
}

/** The schema of {@linkcode SerializedError}. */
export const serializedErrorSchema: z.ZodType<SerializedError> = z.object({
  name: z.string(),
  code: z.string(),
  fault: faultSchema,
  message: z.string(),
  details: detailsSchema.optional(),
  stack: z.string().optional(),
  get cause() {
    return serializedErrorSchema.optional();
  },
});

/** The code of an `AbortError` on its way; it has none otherwise. */
const ABORTED = "aborted";

/** What becomes of a code that this version does not know. */
const UNKNOWN_CODES: Readonly<Record<Fault, ErrorCode>> = {
  caller: "invalid_value",
  environment: "request_failed",
  bug: "internal",
};

/** Writes any error as JSON. */
export function serializeError(error: unknown): SerializedError {
  return serialize(error, LONGEST_CHAIN);
}

function serialize(error: unknown, depth: number): SerializedError {
  if (isAbortError(error)) {
    return { name: error.name, code: ABORTED, fault: "caller", message: error.message };
  }
  const { name, code, fault, message, details, stack, cause } = toPixstageError(error);
  return {
    name,
    code,
    fault,
    message,
    details: details && detailsSchema.parse(JSON.parse(JSON.stringify(details))),
    stack: fault === "bug" ? stack : undefined,
    cause: cause === undefined || depth <= 1 ? undefined : serialize(cause, depth - 1),
  };
}

/**
 * Reads an error from JSON.
 *
 * @param serialized What {@linkcode serializeError} made, here or elsewhere.
 * @returns A {@linkcode PixstageError} with the code, the name, the message and the details of the original,
 * or an
 * `AbortError`.
 */
export function deserializeError(serialized: SerializedError): PixstageError | DOMException {
  const { name, code, fault, message, details, stack, cause } = serialized;
  if (code === ABORTED) return new DOMException(message, "AbortError");
  const error = new PixstageError(isErrorCode(code) ? code : UNKNOWN_CODES[fault], message, {
    details,
    ...(cause === undefined ? {} : { cause: deserializeError(cause) }),
  });
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
}
