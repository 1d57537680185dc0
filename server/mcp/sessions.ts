/**
 * Sessions of the Model Context Protocol. A client cancels one request by sending another, so both must reach
 * the same protocol server.
 *
 * @module
 */

import type { StreamableHTTPTransport } from "@hono/mcp";
import { ApiError } from "../api_error.ts";
import type { Limits } from "../limits.ts";
import type { PublicAddress } from "../public_address.ts";
import type { QueueClient } from "../jobs/queue_places.ts";

/** Milliseconds after which an unused session may be closed. */
const IDLE_MS = 30 * 60_000;

/** The client of a session, from its latest request. */
export interface McpClient {
  /** The queue client whose turn its jobs take. */
  readonly queue: QueueClient;
  /** The address with which the client reached the server. */
  readonly address: PublicAddress;
}

/** A session. */
export interface McpSession {
  /** Handles its requests. */
  readonly transport: StreamableHTTPTransport;
  /** The client. */
  client: McpClient;
}

/** A session, with its use. */
interface OpenSession extends McpSession {
  usedAt: number;
  /** Number of requests in progress. */
  busy: number;
}

/** Opens, finds and closes sessions. */
export class McpSessions {
  #limits: Pick<Limits, "maxMcpSessions">;
  #sessions = new Map<string, OpenSession>();

  /** @param limits Maximum number of open sessions. */
  constructor(limits: Pick<Limits, "maxMcpSessions">) {
    this.#limits = limits;
  }

  /** Number of open sessions. */
  get size(): number {
    return this.#sessions.size;
  }

  /**
   * Adds a session.
   *
   * @param id Its id.
   * @param session The session.
   */
  add(id: string, session: McpSession): void {
    this.#sessions.set(id, { ...session, usedAt: Date.now(), busy: 0 });
  }

  /**
   * Makes room for another session by closing unused ones.
   *
   * @throws {ApiError} 429 if too many are busy.
   */
  async makeRoom(): Promise<void> {
    const idle = [...this.#sessions].filter(([, { busy }]) => busy === 0).sort(([, a], [, b]) =>
      a.usedAt - b.usedAt
    );
    const oldest = Date.now() - IDLE_MS;
    const surplus = this.#sessions.size + 1 - this.#limits.maxMcpSessions;
    const ended = idle.filter(([, { usedAt }], index) => usedAt < oldest || index < surplus);
    if (ended.length < surplus) {
      const message = `${this.#sessions.size} sessions are already open and busy: try again later`;
      throw new ApiError("queue_full", message, { headers: { "retry-after": "10" } });
    }
    for (const [id] of ended) await this.end(id);
  }

  /**
   * Finds the session of a request.
   *
   * @param id Its id.
   * @param client The client that sends the request.
   * @throws {ApiError} 404 if the session does not exist or was closed. The client then opens a new one.
   */
  find(id: string, client: McpClient): McpSession {
    const session = this.#sessions.get(id);
    if (!session) {
      throw new ApiError("session_not_found", "This session does not exist: send initialize again", {
        param: "header.mcp-session-id",
      });
    }
    session.usedAt = Date.now();
    session.client = client;
    return session;
  }

  /** Does work on behalf of a session, and keeps the session open until the work is done. */
  async during<T>(
    transport: StreamableHTTPTransport,
    work: (client: McpClient | undefined) => Promise<T>,
  ): Promise<T> {
    const session = this.#sessions.get(transport.sessionId ?? "");
    if (session) session.busy += 1;
    try {
      return await work(session?.client);
    } finally {
      if (session) {
        session.busy -= 1;
        session.usedAt = Date.now();
      }
    }
  }

  /** Closes a session. */
  async end(id: string): Promise<void> {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    await session?.transport.close();
  }

  /** Closes all sessions. */
  async close(): Promise<void> {
    for (const id of [...this.#sessions.keys()]) await this.end(id);
  }
}
