// This module is browser compatible.

/**
 * Maps the status of a server's answer to an error code.
 *
 * @module
 */

import type { ErrorCode } from "./error_codes.ts";

/**
 * Returns the code for an answer without one. A status of 0 means that there was no answer and maps to
 * `unreachable`.
 */
export function codeOfStatus(status: number): ErrorCode {
  switch (status) {
    case 0:
      return "unreachable";
    case 401:
    case 403:
      return "unauthorized";
    default:
      return "request_failed";
  }
}
