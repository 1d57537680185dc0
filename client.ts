/**
 * A typed client of the server.
 *
 * @module pixstage/client
 */

import { hc } from "hono/client";
import type { apiRoutes } from "./server/app.ts";

/** Options of {@linkcode createClient}. */
export interface ClientOptions {
  /** The server's API key. */
  readonly apiKey?: string | undefined;
  /** Sends requests. The default is the platform's `fetch`. */
  readonly fetch?: typeof fetch | undefined;
}

/**
 * A client. The server's paths are properties, `$get` and `$post` are methods, and the server's own schemas
 * provide the types.
 */
export type Client = ReturnType<typeof hc<ReturnType<typeof apiRoutes>>>;

/**
 * Returns a client of a server.
 *
 * @param url The server's address.
 * @param options How to reach it.
 * @returns The client.
 *
 * @example Ordering a picture
 * ```ts ignore
 * // not run: asks a running server
 * import { createClient } from "./client.ts";
 *
 * const client = createClient("http://127.0.0.1:8000");
 * const reply = await client.v1.jobs.$post({
 *   json: { request: { model: "pixstage-emoji", prompts: ["cute cat"] } },
 * });
 * if (reply.status === 202) {
 *   const job = await reply.json();
 * }
 * ```
 */
export function createClient(url: string, options: ClientOptions = {}): Client {
  const { apiKey, fetch } = options;
  return hc<ReturnType<typeof apiRoutes>>(url, {
    ...(fetch ? { fetch } : {}),
    headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
  });
}
