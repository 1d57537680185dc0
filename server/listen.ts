/**
 * Listens for a server over `node:http`, which reports every client that disconnects and ends hanging
 * connections. `Deno.serve` of Deno 2.9.6 does neither. If a request's body arrives in a second packet, or is
 * larger than about 0.5 KB, `Deno.serve` aborts the request only after the answer. It also keeps silent
 * connections open.
 *
 * @module
 */

import { getRequestListener } from "@hono/node-server";
import { createServer } from "node:http";
import { ApiError } from "./api_error.ts";
import type { Server } from "./create_server.ts";
import { STREAMED_BODY } from "./streamed_body.ts";

/** Options of {@linkcode listen}. */
export interface ListenOptions {
  /**
   * The address to listen on.
   *
   * @default {"127.0.0.1"}
   */
  readonly hostname?: string | undefined;
  /**
   * The port; 0 picks a free one.
   *
   * @default {8000}
   */
  readonly port?: number | undefined;
  /**
   * Maximum time to receive a request's head, in milliseconds.
   *
   * @default {30000}
   */
  readonly headMs?: number | undefined;
  /**
   * Maximum time to receive a whole request, e.g. an upload, in milliseconds.
   *
   * @default {3600000}
   */
  readonly requestMs?: number | undefined;
  /**
   * Maximum idle time of a connection between two requests, in milliseconds. It is longer than the keep-alive
   * time of proxies.
   *
   * @default {75000}
   */
  readonly restMs?: number | undefined;
  /**
   * Maximum number of open connections; the listener closes further ones at once. If the process runs out of
   * file descriptors, the listener of Deno 2.9.6 never accepts a connection again.
   *
   * @default {1000}
   */
  readonly maxConnections?: number | undefined;
}

/** A server that is listening. */
export interface Listener {
  /** The address. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
  /** Accepts no more connections, gives open requests a moment to finish, and closes all connections. */
  close(): Promise<void>;
}

/** Milliseconds between two checks for hanging connections. */
const LOOK_MS = 1000;

/** Methods that the Fetch standard forbids. */
const FORBIDDEN_METHODS: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK"]);

/** Milliseconds of silence after which the system probes whether the peer is still there. */
const PROBE_MS = 60_000;

/** Milliseconds that open requests have to finish once the listener closes. */
const GRACE_MS = 2000;

/**
 * Starts listening for a server.
 *
 * @param server The server, from `createServer`.
 * @param options Where and how to listen.
 * @returns The listener.
 * @throws the system's error if it cannot listen there.
 */
export async function listen(server: Pick<Server, "fetch">, options: ListenOptions = {}): Promise<Listener> {
  const { hostname = "127.0.0.1", port = 8000 } = options;
  const { headMs = 30_000, requestMs = 3_600_000, restMs = 75_000, maxConnections = 1000 } = options;
  const answer = getRequestListener(
    (given, { incoming }) => {
      const { url, method, headers, body, signal } = given;
      // `new Request` refuses these, as fetch does.
      if (FORBIDDEN_METHODS.has(method.toUpperCase())) {
        const error = new ApiError("method_not_allowed", `The method ${method} is not allowed`);
        return Response.json(error.toJSON(), { status: 405 });
      }
      // The adapter's requests are not instances of the platform's `Request`, which middleware needs in order
      // to copy them.
      const request = new Request(url, { method, headers, body, signal, ...STREAMED_BODY });
      const { remoteAddress = "", remotePort = 0 } = incoming.socket;
      // Deno 2.9.6 ignores the `createServer` option for this.
      incoming.socket.setKeepAlive(true, PROBE_MS);
      return server.fetch(request, {
        remoteAddr: { transport: "tcp", hostname: remoteAddress, port: remotePort },
      });
    },
    // HTTP/1.0 requests need not name a host.
    { hostname, overrideGlobalObjects: false },
  );
  const listener = createServer({
    headersTimeout: headMs,
    requestTimeout: requestMs,
    keepAliveTimeout: restMs,
    connectionsCheckingInterval: Math.min(LOOK_MS, headMs, restMs),
  }, answer);
  listener.maxConnections = maxConnections;
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  // Later errors concern single connections.
  listener.on("error", reject);
  listener.listen(port, hostname, resolve);
  await listening;
  const address = listener.address();
  return {
    hostname,
    port: typeof address === "object" && address !== null ? address.port : port,
    async close() {
      const closed = Promise.withResolvers<void>();
      listener.close(() => closed.resolve());
      listener.closeIdleConnections();
      const timer = setTimeout(() => listener.closeAllConnections(), GRACE_MS);
      await closed.promise;
      clearTimeout(timer);
    },
  };
}
