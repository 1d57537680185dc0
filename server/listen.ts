/**
 * Listens for a server over `node:http`, which tells of every client that leaves and ends connections that
 * hang. `Deno.serve` of Deno 2.9.6 does neither: a request whose body came in a second packet, or is larger
 * than about 0.5 KB, is aborted only once it has been answered, and a connection on which nothing comes stays
 * open.
 *
 * @module
 */

import { getRequestListener } from "@hono/node-server";
import { createServer } from "node:http";
import type { Server } from "./create_server.ts";
import { STREAMED_BODY } from "./streamed_body.ts";

/** Where and how to listen. */
export interface ListenOptions {
  /**
   * The address to listen at.
   *
   * @default {"127.0.0.1"}
   */
  readonly hostname?: string | undefined;
  /**
   * The port; 0 for a free one.
   *
   * @default {8000}
   */
  readonly port?: number | undefined;
  /**
   * Milliseconds that the head of a request may take.
   *
   * @default {30000}
   */
  readonly headMs?: number | undefined;
  /**
   * Milliseconds that a whole request may take to arrive: an upload.
   *
   * @default {3600000}
   */
  readonly requestMs?: number | undefined;
  /**
   * Milliseconds that a connection may rest between two requests, longer than proxies keep theirs.
   *
   * @default {75000}
   */
  readonly restMs?: number | undefined;
  /**
   * Connections at once; more are closed as they come. Beyond the files that the system lets a process open,
   * the listener of Deno 2.9.6 would take no connection ever again.
   *
   * @default {1000}
   */
  readonly maxConnections?: number | undefined;
}

/** A server that listens. */
export interface Listener {
  /** The address. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
  /**
   * Takes no more connections, lets the requests at hand be answered for a moment, and ends all connections.
   */
  close(): Promise<void>;
}

/** Milliseconds between two looks for connections that hang. */
const LOOK_MS = 1000;

/** Milliseconds after which the system asks whether the other end of a silent connection is still there. */
const PROBE_MS = 60_000;

/** Milliseconds that requests have to be answered once the listener closes. */
const GRACE_MS = 2000;

/**
 * Listens for a server.
 *
 * @param server The server, as `createServer` makes it.
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
      // The adapter's own requests are not of the platform's class, which middleware wants to copy.
      const request = new Request(url, { method, headers, body, signal, ...STREAMED_BODY });
      const { remoteAddress = "", remotePort = 0 } = incoming.socket;
      // Deno 2.9.6 ignores the option of `createServer` for this.
      incoming.socket.setKeepAlive(true, PROBE_MS);
      return server.fetch(request, {
        remoteAddr: { transport: "tcp", hostname: remoteAddress, port: remotePort },
      });
    },
    // Requests of HTTP/1.0 need not name a host.
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
  // Errors after the first moment are those of single connections.
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
