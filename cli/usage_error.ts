/**
 * Which errors are the caller's: the program ends with status 2.
 *
 * @module
 */

import { GraphError } from "../graph/graph_error.ts";

/** A command that was called with what it cannot take. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Whether an error tells of a value that the caller gave and that is not allowed. */
export function isUsageError(error: unknown): boolean {
  return error instanceof UsageError || error instanceof GraphError || error instanceof RangeError;
}
