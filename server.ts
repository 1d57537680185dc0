/**
 * The server. It tells that it is alive.
 *
 * @module
 */

import { Hono } from "hono";

/** Makes the server's application. */
export function createServer(): Hono {
  return new Hono().get("/healthz", (context) => context.json({ status: "ok" }));
}

if (import.meta.main) Deno.serve({ hostname: "127.0.0.1", port: 8000 }, createServer().fetch);
