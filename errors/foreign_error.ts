// This module is browser compatible.

/**
 * Maps errors of the system, the language and libraries to the codes of pixstage.
 *
 * @module
 */

import { z } from "zod";
import { ABORT_STATUS, type CodeOf, type ErrorCode, EXIT_STATUSES } from "./error_codes.ts";
import { InputError, PixstageError } from "./pixstage_error.ts";
import { permissionError } from "./permission_error.ts";
import { explainZodError } from "./explain_zod_error.ts";

/** The codes of pixstage for the system's error codes. */
const SYSTEM_CODES: Readonly<Record<string, CodeOf<"environment">>> = {
  ENOENT: "file_not_found",
  ENOTDIR: "file_not_found",
  EEXIST: "unusable_path",
  EISDIR: "unusable_path",
  ENOTREG: "unusable_path",
  ENAMETOOLONG: "unusable_path",
  ELOOP: "unusable_path",
  EACCES: "permission_denied",
  EPERM: "permission_denied",
  EROFS: "permission_denied",
  ENOSPC: "disk_full",
  EDQUOT: "disk_full",
  EMFILE: "too_many_files",
  ENFILE: "too_many_files",
  ENOMEM: "out_of_memory",
  EADDRINUSE: "address_in_use",
  EADDRNOTAVAIL: "unreachable",
  ECONNREFUSED: "unreachable",
  ECONNRESET: "unreachable",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  ENOTFOUND: "unreachable",
  EPIPE: "file_system",
  ETIMEDOUT: "unreachable",
};

/**
 * The wordings of ONNX Runtime, its devices and the language for exhausted memory; none of them has a code
 * for it.
 */
const OUT_OF_MEMORY = /bad_alloc|allocate memory|allocation failed|out of memory|OOM|BFCArena|ENOMEM/i;

/** Returns the code of a system error, such as `ENOSPC`; empty if it has none. */
export function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Returns the code of pixstage for a system error code such as `ENOSPC`. */
export function codeOfSystemError(code: string): CodeOf<"environment"> {
  return Object.hasOwn(SYSTEM_CODES, code) ? SYSTEM_CODES[code]! : "file_system";
}

/** Returns whether an error reports exhausted memory. */
export function isOutOfMemory(error: unknown): boolean {
  if (error instanceof PixstageError) return error.code === "out_of_memory";
  return error instanceof Error && OUT_OF_MEMORY.test(error.message);
}

/** Returns whether an error reports that the caller stopped the work. */
export function isAbortError(error: unknown): error is DOMException {
  return error instanceof DOMException && error.name === "AbortError";
}

/**
 * Gives any error a code. Its name, message and stack stay, except that zod's issues become one sentence.
 *
 * @param error Any thrown value.
 * @returns The error itself if it is already one of pixstage.
 */
export function toPixstageError(error: unknown): PixstageError {
  if (error instanceof PixstageError) return error;
  const refusal = permissionError(error);
  if (refusal) return refusal;
  if (error instanceof z.core.$ZodError) {
    const { field, clause } = explainZodError(error);
    return new InputError("invalid_value", clause, {
      details: field ? { field } : undefined,
      cause: error,
    });
  }
  if (!(error instanceof Error)) return new PixstageError("internal", String(error));
  const coded = new PixstageError(foreignCode(error), error.message, { cause: error.cause });
  coded.name = error.name;
  if (error.stack !== undefined) coded.stack = error.stack;
  return coded;
}

/**
 * Returns the exit status of the command line after an error: 2 for the caller's faults, 130 for an
 * `AbortError`, otherwise 1.
 */
export function exitStatus(error: unknown): number {
  return isAbortError(error) ? ABORT_STATUS : EXIT_STATUSES[toPixstageError(error).fault];
}

function foreignCode(error: Error): ErrorCode {
  const code = systemCode(error);
  if (Object.hasOwn(SYSTEM_CODES, code)) return codeOfSystemError(code);
  return isOutOfMemory(error) ? "out_of_memory" : "internal";
}
