// This module is browser compatible.

/**
 * The base of all errors of pixstage, and the classes for errors that no folder has a class of its own for.
 *
 * @module
 */

import { type CodeOf, ERROR_CODES, type ErrorCode, type Fault } from "./error_codes.ts";

/** A value that JSON can hold. */
export type DetailValue =
  | null
  | boolean
  | number
  | string
  | readonly DetailValue[]
  | { readonly [key: string]: DetailValue };

/**
 * Facts about an error that a program can read. `field` names the option, the parameter or the field at
 * fault.
 */
export type ErrorDetails = { readonly [key: string]: DetailValue };

/** What an error carries besides its code and its message. */
export interface PixstageErrorOptions extends ErrorOptions {
  /** Facts that a program can read. */
  readonly details?: ErrorDetails | undefined;
}

/**
 * An error that pixstage throws on purpose. Programs tell errors apart by `code`, and decide by `fault` what
 * to do; the message is for people.
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
  /** Facts that a program can read. */
  readonly details: ErrorDetails | undefined;

  /**
   * @param code What happened.
   * @param message What happened, where, and what to do.
   * @param options Details, and the error behind this one.
   */
  constructor(code: Code, message: string, { details, ...options }: PixstageErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.details = details;
  }

  /** Who can put it right. */
  get fault(): Fault {
    return ERROR_CODES[this.code].fault;
  }

  /** The option, the parameter or the field at fault, if the details name one. */
  get field(): string | undefined {
    const field = this.details?.["field"];
    return typeof field === "string" && field !== "" ? field : undefined;
  }
}

/**
 * The caller passed something that cannot be used.
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

/** A file, or its bytes, do not hold what their format requires. */
export class FormatError extends PixstageError<"invalid_file"> {
  override name = "FormatError";

  /**
   * @param message Which file, what is wrong in it, and what stands there.
   * @param options Details, and the error behind this one.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super("invalid_file", message, options);
  }
}

/** Something that cannot happen has happened. */
export class InternalError extends PixstageError<CodeOf<"bug">> {
  override name = "InternalError";

  /**
   * @param message What happened, and where.
   * @param options Details, and the error behind this one.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super("internal", message, options);
  }
}
