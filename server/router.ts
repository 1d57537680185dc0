import { OpenAPIHono } from "@hono/zod-openapi";
import { invalidRequest } from "./api_error.ts";
import type { ServerEnv } from "./context.ts";

/** Prefix of a field's path in error messages, by the request part that the schema validates. */
const PLACES: Readonly<Record<string, string>> = {
  query: "query",
  param: "path",
  header: "header",
  json: "",
};

/**
 * Creates a router. If a schema refuses a request, its routes answer in the shape of all errors.
 *
 * @param options How to read the path of a request. Defaults to the path as sent.
 */
export function router(
  options: { readonly getPath?: (request: Request) => string } = {},
): OpenAPIHono<ServerEnv> {
  return new OpenAPIHono<ServerEnv>({
    ...options,
    defaultHook: (result) => {
      if (result.success) return;
      const place = PLACES[result.target];
      throw invalidRequest(result.error, place ? [place] : []);
    },
  });
}
