// This module is browser compatible.

/**
 * The base class of all errors of pixstage, and the classes for errors that have no class in their own
 * folder.
 *
 * @module
 */

import { type CodeOf, ERROR_CODES, type ErrorCode, type Fault } from "./error_codes.ts";

/** A value that JSON can represent. */
export type DetailValue =
  | null
  | boolean
  | number
  | string
  | readonly DetailValue[]
  | { readonly [key: string]: DetailValue };

/**
 * Machine-readable facts about an error. `field` names the offending option, parameter or field.
 */
export type ErrorDetails = { readonly [key: string]: DetailValue };

/** The parts of an error besides its code and its message. */
export interface PixstageErrorOptions extends ErrorOptions {
  /** Machine-readable facts. */
  readonly details?: ErrorDetails | undefined;
}

/**
 * An error that pixstage throws on purpose. Programs distinguish errors by `code` and choose their reaction
 * by `fault`; the message is for people.
 *
 * @example Usage
 * ```ts
 * import { PixstageError } from "./pixstage_error.ts";
 *
 * const error = new PixstageError("disk_full", "Cannot write cat.png: the disk is full");
 * console.assert(error.fault === "environment");
 * ```
 */
export class PixstageError<Code extends ErrorCode = ErrorCode> extends Error {
  override name = "PixstageError";
  /** What happened: a code of `ERROR_CODES`. */
  readonly code: Code;
  /** Machine-readable facts. */
  readonly details: ErrorDetails | undefined;

  /**
   * @param code What happened.
   * @param message What happened, where, and what to do.
   * @param options Details, and the error that caused this one.
   */
  constructor(code: Code, message: string, { details, ...options }: PixstageErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.details = details;
  }

  /** The party that can fix the error. */
  get fault(): Fault {
    return ERROR_CODES[this.code].fault;
  }

  /** The offending option, parameter or field, if the details name one. */
  get field(): string | undefined {
    const field = this.details?.["field"];
    return typeof field === "string" && field !== "" ? field : undefined;
  }
}

/**
 * Thrown if the caller passed something that cannot be used.
 *
 * @example Usage
 * ```ts
 * import { InputError } from "./pixstage_error.ts";
 *
 * const error = new InputError("out_of_range", "steps must be at least 1: current value is 0", {
 *   details: { field: "steps" },
 * });
 * console.assert(error.fault === "caller");
 * ```
 */
export class InputError extends PixstageError<CodeOf<"caller">> {
  override name = "InputError";
}

/** Thrown if a file or its bytes do not follow their format. */
export class FormatError extends PixstageError<"invalid_file"> {
  override name = "FormatError";

  /**
   * @param message The file, the problem, and the value found.
   * @param options Details, and the error that caused this one.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super("invalid_file", message, options);
  }
}

/** Thrown if something impossible happened. */
export class InternalError extends PixstageError<CodeOf<"bug">> {
  override name = "InternalError";

  /**
   * @param message What happened, and where.
   * @param options Details, and the error that caused this one.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super("internal", message, options);
  }
}
