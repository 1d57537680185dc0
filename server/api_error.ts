/**
 * Errors in the OpenAI API's shape, `{"error": {"message", "type", "param", "code"}}`, plus `fault` and
 * `details`. Clients parse this shape, so every error leaves the server in it, without a stack trace.
 *
 * @module
 */

import { z } from "@hono/zod-openapi";
import { ERROR_CODES, type ErrorCode, type ErrorCodeEntry, isErrorCode } from "../errors/error_codes.ts";
import { explainZodError } from "../errors/explain_zod_error.ts";
import { toPixstageError } from "../errors/foreign_error.ts";
import { PixstageError, type PixstageErrorOptions } from "../errors/pixstage_error.ts";
import { serializeError } from "../errors/serialized_error.ts";

/** Schema of the part of an error that clients see. */
export const shownErrorSchema = z.object({
  code: z.string(),
  message: z.string(),
  name: z.string().default("PixstageError"),
  fault: z.enum(["caller", "environment", "bug"]).default("bug"),
  details: z.record(z.string(), z.json()).optional().openapi({ type: "object" }),
});

/** The part of an error that clients see. */
export type ShownError = z.infer<typeof shownErrorSchema>;

/** Schema of an error reply. */
export const errorSchema = z.object({
  error: shownErrorSchema.extend({ type: z.string(), param: z.string().nullable() }),
}).openapi("Error");

/** Options of an {@linkcode ApiError}. */
export interface ApiErrorOptions extends PixstageErrorOptions {
  /** The request field at fault, e.g. `size` or `graph.nodes.denoise.parameters.steps`. */
  readonly param?: string | undefined;
  /** Headers of the reply, e.g. `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

const FULL = "The server's disk is full: try again once it has space";
const HIDDEN = "The server failed: find the reason in its log under the request's id";

/** An error that the server reports to its client. */
export class ApiError extends PixstageError {
  override name = "ApiError";
  /** The field at fault. */
  readonly param: string | undefined;
  /** Headers of the reply. */
  readonly headers: Readonly<Record<string, string>>;

  /**
   * @param code The error code.
   * @param message What was wrong and what to do.
   * @param options Further facts about the error.
   */
  constructor(code: ErrorCode, message: string, { param, headers, ...options }: ApiErrorOptions = {}) {
    super(code, message, options);
    this.param = param;
    this.headers = headers ?? {};
  }

  /**
   * Converts any error into a reply. If the status is below 500, clients see the whole error. Otherwise they
   * see only the code, because the message can contain paths of the server.
   *
   * @param error The error.
   * @param options The message that replaces a hidden one, and the path of the request part that contains the
   * error's field.
   */
  static from(
    error: unknown,
    { hidden, path = [] }: { readonly hidden?: string; readonly path?: readonly string[] } = {},
  ): ApiError {
    if (error instanceof ApiError) return error;
    const { name, code, message, details, field = "" } = toPixstageError(error);
    if (ERROR_CODES[code].status >= 500) {
      return new ApiError(code, hidden ?? (code === "disk_full" ? FULL : HIDDEN), { cause: error });
    }
    const param = [...path, field].filter((part) => part !== "").join(".");
    const shown = new ApiError(code, message, { details, param: param || undefined, cause: error });
    shown.name = name;
    return shown;
  }

  /** Returns the reply to a job that failed. */
  static ofJob(error: ShownError): ApiError {
    const { name, code, message, details } = error;
    const shown = new ApiError(isErrorCode(code) ? code : "internal", message, { details });
    shown.name = name;
    return shown;
  }

  /** The HTTP status. */
  get status(): ErrorCodeEntry["status"] {
    return ERROR_CODES[this.code].status;
  }

  /** The type of the error in OpenAI's terms. */
  get type(): string {
    switch (this.status) {
      case 401:
        return "authentication_error";
      case 403:
        return "permission_error";
      case 404:
        return "not_found_error";
      case 429:
        return "rate_limit_error";
      default:
        return this.status >= 500 ? "server_error" : "invalid_request_error";
    }
  }

  /** The part of the error that clients see. */
  get shown(): ShownError {
    const { name, code, fault, message, details } = serializeError(this);
    return { code, message, name, fault, ...(details ? { details } : {}) };
  }

  /** The body of the reply. */
  toJSON(): z.infer<typeof errorSchema> {
    return { error: { ...this.shown, type: this.type, param: this.param ?? null } };
  }
}

/** Converts a schema's first issue into an error. */
export function invalidRequest(error: z.core.$ZodError, prefix: readonly string[] = []): ApiError {
  const { path, problem } = explainZodError(error);
  const param = [...prefix, ...path].join(".");
  return new ApiError("invalid_value", `${param || "The request"} ${problem}`, param ? { param } : {});
}
