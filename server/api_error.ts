/**
 * Errors as the OpenAI API writes them: `{"error": {"message", "type", "param", "code"}}`. Clients parse this shape, so
 * every fault leaves the server in it, and none with a stack trace.
 *
 * @module
 */

import { z } from "@hono/zod-openapi";
import type { ContentfulStatusCode } from "hono/utils/http-status";

/** The schema of an error reply. */
export const errorSchema = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
}).openapi("Error");

/** What an error says beside its message. */
export interface ApiErrorOptions extends ErrorOptions {
  /** The field of the request that is at fault: `size`, `graph.nodes.denoise.parameters.steps`. */
  readonly param?: string | undefined;
  /** Headers of the reply: `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** A fault that is told to the client. */
export class ApiError extends Error {
  override name = "ApiError";
  /** The HTTP status. */
  readonly status: ContentfulStatusCode;
  /** A short name that programs can tell faults apart by: `queue_full`. */
  readonly code: string;
  /** The field at fault. */
  readonly param: string | undefined;
  /** Headers of the reply. */
  readonly headers: Readonly<Record<string, string>>;

  /**
   * @param status The HTTP status.
   * @param code A short name of the fault.
   * @param message What was wrong and what to do.
   * @param options What else is known.
   */
  constructor(
    status: ContentfulStatusCode,
    code: string,
    message: string,
    { param, headers, ...options }: ApiErrorOptions = {},
  ) {
    super(message, options);
    this.status = status;
    this.code = code;
    this.param = param;
    this.headers = headers ?? {};
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

  /** The body of the reply. */
  toJSON(): z.infer<typeof errorSchema> {
    const { message, type, param, code } = this;
    return { error: { message, type, param: param ?? null, code } };
  }
}

/** The fault of a value that a schema refuses, told by its first issue. */
export function invalidRequest(error: z.core.$ZodError, prefix: readonly string[] = []): ApiError {
  const [issue] = error.issues;
  const path = [...prefix, ...(issue?.path ?? []).map(String)];
  const unknown = issue?.code === "unrecognized_keys" ? issue.keys[0] : undefined;
  const param = [...path, ...(unknown === undefined ? [] : [unknown])].join(".");
  const message = issue ? `${param ? `${param}: ` : ""}${issue.message}` : "The request is not valid";
  return new ApiError(400, "invalid_value", message, param ? { param } : {});
}
