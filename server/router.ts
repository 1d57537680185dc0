import { OpenAPIHono } from "@hono/zod-openapi";
import { invalidRequest } from "./api_error.ts";
import type { ServerEnv } from "./context.ts";

/** Where in a request a value stands, as its schema calls it. */
const PLACES: Readonly<Record<string, string>> = {
  query: "query",
  param: "path",
  header: "header",
  json: "",
};

/**
 * A router whose routes refuse what their schemas refuse, in the shape of all errors.
 *
 * @param options How it reads the path of a request; as it stands in the request unless given.
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
