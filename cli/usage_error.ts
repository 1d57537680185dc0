/**
 * Which errors are the caller's: the program ends with status 2.
 *
 * @module
 */

import { GraphError } from "../graph/graph_error.ts";
import { ScheduleError, SchedulerOptionError, UnknownSchedulerError } from "../schedulers/mod.ts";

/** A command that was called with what it cannot take. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Errors that tell of a value that is not allowed. */
const USAGE_ERRORS = [
  UsageError,
  GraphError,
  RangeError,
  ScheduleError,
  SchedulerOptionError,
  UnknownSchedulerError,
];

/** Whether an error tells of a value that the caller gave and that is not allowed. */
export function isUsageError(error: unknown): boolean {
  return USAGE_ERRORS.some((kind) => error instanceof kind);
}
