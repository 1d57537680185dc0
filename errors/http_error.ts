// This module is browser compatible.

/**
 * The code of a server's answer.
 *
 * @module
 */

import type { ErrorCode } from "./error_codes.ts";

/**
 * The code that a status stands for where the answer carries none of its own: `unreachable` for 0, which
 * stands for no answer.
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
