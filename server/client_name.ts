import type { Context } from "hono";
import type { ServerEnv } from "./context.ts";

/**
 * Who sends a request, as far as taking turns is concerned: the name that it gives itself in `X-Client-Id`, else the
 * address that it comes from.
 */
export function clientName(context: Context<ServerEnv>): string {
  const given = context.req.header("x-client-id");
  if (given !== undefined && given !== "") return `id:${given.slice(0, 64)}`;
  const address = context.env?.remoteAddr;
  return address && "hostname" in address ? address.hostname : "local";
}
