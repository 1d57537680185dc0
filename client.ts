/**
 * A typed client of the server.
 *
 * @module
 */

import { hc } from "hono/client";
import type { apiRoutes } from "./server/app.ts";

/** How a client reaches its server. */
export interface ClientOptions {
  /** The server's API key. */
  readonly apiKey?: string | undefined;
  /** Sends requests. Default is the platform's `fetch`. */
  readonly fetch?: typeof fetch | undefined;
}

/** A client: the server's paths as properties, `$get` and `$post` as methods, typed by the server's own schemas. */
export type Client = ReturnType<typeof hc<ReturnType<typeof apiRoutes>>>;

/**
 * Makes a client of a server.
 *
 * @param url The server's address.
 * @param options How it is reached.
 * @returns The client.
 *
 * @example Ordering a picture
 * ```ts ignore
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
