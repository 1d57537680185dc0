// This module is browser compatible.

/**
 * Errors as JSON, for transport between threads, processes and machines: an error has the same code wherever
 * a stage ran.
 *
 * @module
 */

import { z } from "zod";
import { type ErrorCode, type Fault, isErrorCode } from "./error_codes.ts";
import { isAbortError, toPixstageError } from "./foreign_error.ts";
import { PixstageError } from "./pixstage_error.ts";

/** Maximum number of causes that an error carries along. */
const LONGEST_CHAIN = 5;

/** The schema of a fault. */
export const faultSchema: z.ZodType<Fault> = z.enum(["caller", "environment", "bug"]);

const detailsSchema = z.record(z.string(), z.json());

/** An error as JSON. */
export interface SerializedError {
  /** The name of the error's class. */
  readonly name: string;
  /** A code of `ERROR_CODES`, or one from a newer version. */
  readonly code: string;
  /** The party that can fix the error. */
  readonly fault: Fault;
  readonly message: string;
  readonly details?: z.output<typeof detailsSchema> | undefined;
  /** The stack trace; only for bugs. */
  readonly stack?: string | undefined;
  /** The error that caused this one. */
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

/** The code of a serialized `AbortError`, which has none otherwise. */
const ABORTED = "aborted";

/** The replacements for codes that this version does not know. */
const UNKNOWN_CODES: Readonly<Record<Fault, ErrorCode>> = {
  caller: "invalid_value",
  environment: "request_failed",
  bug: "internal",
};

/** Converts any error to JSON. */
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
 * Restores an error from JSON.
 *
 * @param serialized The result of {@linkcode serializeError}, here or elsewhere.
 * @returns A {@linkcode PixstageError} with the code, name, message and details of the original, or an
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
