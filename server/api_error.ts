/**
 * Errors as the OpenAI API writes them: `{"error": {"message", "type", "param", "code"}}`, and with `fault`
 * and `details` besides. Clients parse this shape, so every error leaves the server in it, and none with a
 * stack trace.
 *
 * @module
 */

import { z } from "@hono/zod-openapi";
import { ERROR_CODES, type ErrorCode, type ErrorCodeEntry, isErrorCode } from "../errors/error_codes.ts";
import { explainZodError } from "../errors/explain_zod_error.ts";
import { toPixstageError } from "../errors/foreign_error.ts";
import { PixstageError, type PixstageErrorOptions } from "../errors/pixstage_error.ts";
import { serializeError } from "../errors/serialized_error.ts";

/** The schema of what clients learn of an error. */
export const shownErrorSchema = z.object({
  code: z.string(),
  message: z.string(),
  name: z.string().default("PixstageError"),
  fault: z.enum(["caller", "environment", "bug"]).default("bug"),
  details: z.record(z.string(), z.json()).optional().openapi({ type: "object" }),
});

/** What clients learn of an error. */
export type ShownError = z.infer<typeof shownErrorSchema>;

/** The schema of an error reply. */
export const errorSchema = z.object({
  error: shownErrorSchema.extend({ type: z.string(), param: z.string().nullable() }),
}).openapi("Error");

/** What an error says beside its message. */
export interface ApiErrorOptions extends PixstageErrorOptions {
  /** The field of the request that is at fault: `size`, `graph.nodes.denoise.parameters.steps`. */
  readonly param?: string | undefined;
  /** Headers of the reply: `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

const FULL = "The server's disk is full: try again once it has space";
const HIDDEN = "The server failed: its log says why, under the request's id";

/** An error that a client is to see. */
export class ApiError extends PixstageError {
  override name = "ApiError";
  /** The field at fault. */
  readonly param: string | undefined;
  /** Headers of the reply. */
  readonly headers: Readonly<Record<string, string>>;

  /**
   * @param code What happened.
   * @param message What was wrong and what to do.
   * @param options What else is known.
   */
  constructor(code: ErrorCode, message: string, { param, headers, ...options }: ApiErrorOptions = {}) {
    super(code, message, options);
    this.param = param;
    this.headers = headers ?? {};
  }

  /**
   * The reply to any error. Clients learn all of an error whose status is below 500, and the code alone of
   * the others, whose messages may hold paths of the server.
   *
   * @param error The error.
   * @param options What to say in place of what clients must not learn, and where the request holds the field
   * that the error names.
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

  /** The reply to a job that failed. */
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

  /** The kind of fault, in OpenAI's words. */
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

  /** What clients learn of it. */
  get shown(): ShownError {
    const { name, code, fault, message, details } = serializeError(this);
    return { code, message, name, fault, ...(details ? { details } : {}) };
  }

  /** The body of the reply. */
  toJSON(): z.infer<typeof errorSchema> {
    return { error: { ...this.shown, type: this.type, param: this.param ?? null } };
  }
}

/** The error of a value that a schema refuses, by its first issue. */
export function invalidRequest(error: z.core.$ZodError, prefix: readonly string[] = []): ApiError {
  const { path, problem } = explainZodError(error);
  const param = [...prefix, ...path].join(".");
  return new ApiError("invalid_value", `${param || "The request"} ${problem}`, param ? { param } : {});
}
