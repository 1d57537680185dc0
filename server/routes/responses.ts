import { errorSchema } from "../api_error.ts";

/** Describes a JSON reply. */
export function json<S>(schema: S, description: string): {
  readonly description: string;
  readonly content: { readonly "application/json": { readonly schema: S } };
} {
  return { description, content: { "application/json": { schema } } };
}

/** Error replies that any route can return. */
export const faults = {
  400: json(errorSchema, "The request is not valid; `param` names the field."),
  401: json(errorSchema, "The API key is missing or wrong."),
  404: json(errorSchema, "The requested thing does not exist."),
  413: json(errorSchema, "The body is too large."),
  429: json(errorSchema, "Too many jobs wait; `Retry-After` says when to try again."),
  500: json(errorSchema, "The server failed."),
  503: json(
    errorSchema,
    "The server's store cannot be used, the server is shutting down, or it is too busy to check an order.",
  ),
  507: json(errorSchema, "The server's disk is full."),
} as const;
