import type { Context } from "hono";
import type { ServerEnv } from "./context.ts";
import type { QueueClient } from "./jobs/queue_places.ts";

/** Returns the address that a request comes from. Unlike its name, a client cannot choose its address. */
export function clientAddress(context: Context<ServerEnv>): string {
  const address = context.env?.remoteAddr;
  return address?.hostname ?? "local";
}

/**
 * Identifies the client of a request to the queue: its address, and the name by which it takes turns. The
 * name is the body's user, else `X-Client-Id`, else the address.
 *
 * @param context The request.
 * @param user The user that the body of the request names.
 */
export function queueClient(context: Context<ServerEnv>, user?: string | null | undefined): QueueClient {
  const address = clientAddress(context);
  const given = context.req.header("x-client-id");
  const named = user ? `user:${user.slice(0, 64)}` : given ? `id:${given.slice(0, 64)}` : address;
  return { client: named, address };
}
