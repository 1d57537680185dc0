/**
 * Sessions of the Model Context Protocol: a client says in one request that it gives up another, so both must reach
 * the same server of the protocol.
 *
 * @module
 */

import type { StreamableHTTPTransport } from "@hono/mcp";
import { ApiError } from "../api_error.ts";
import type { Limits } from "../limits.ts";
import type { PublicAddress } from "../public_address.ts";
import type { QueueClient } from "../jobs/queue_places.ts";

/** Milliseconds after which a session that nobody uses is closed. */
const IDLE_MS = 30 * 60_000;

/** Who speaks in a session, by its latest request. */
export interface McpClient {
  /** Whose turn its jobs take. */
  readonly queue: QueueClient;
  /** How it addressed the server. */
  readonly address: PublicAddress;
}

/** A session. */
export interface McpSession {
  /** Takes its requests. */
  readonly transport: StreamableHTTPTransport;
  /** Who speaks. */
  client: McpClient;
}

/** A session, and how it is used. */
interface OpenSession extends McpSession {
  usedAt: number;
  /** Requests that it answers. */
  busy: number;
}

/** Opens, finds and closes sessions. */
export class McpSessions {
  #limits: Pick<Limits, "maxMcpSessions">;
  #sessions = new Map<string, OpenSession>();

  /** @param limits How many there are at once. */
  constructor(limits: Pick<Limits, "maxMcpSessions">) {
    this.#limits = limits;
  }

  /** How many are open. */
  get size(): number {
    return this.#sessions.size;
  }

  /**
   * Takes a session up.
   *
   * @param id Its id.
   * @param session The session.
   */
  add(id: string, session: McpSession): void {
    this.#sessions.set(id, { ...session, usedAt: Date.now(), busy: 0 });
  }

  /**
   * Makes room for another session.
   *
   * @throws {ApiError} 429 if all are busy.
   */
  async makeRoom(): Promise<void> {
    const idle = [...this.#sessions].filter(([, { busy }]) => busy === 0).sort(([, a], [, b]) =>
      a.usedAt - b.usedAt
    );
    const oldest = Date.now() - IDLE_MS;
    const surplus = this.#sessions.size + 1 - this.#limits.maxMcpSessions;
    const ended = idle.filter(([, { usedAt }], index) => usedAt < oldest || index < surplus);
    if (ended.length < surplus) {
      const message = `${this.#sessions.size} sessions are at work already: try again later`;
      throw new ApiError("queue_full", message, { headers: { "retry-after": "10" } });
    }
    for (const [id] of ended) await this.end(id);
  }

  /**
   * Finds the session of a request.
   *
   * @param id Its id.
   * @param client Who sends the request.
   * @throws {ApiError} 404 if there is none, or no longer: the client opens another one then.
   */
  find(id: string, client: McpClient): McpSession {
    const session = this.#sessions.get(id);
    if (!session) {
      throw new ApiError("session_not_found", "There is no such session: send initialize again", {
        param: "header.mcp-session-id",
      });
    }
    session.usedAt = Date.now();
    session.client = client;
    return session;
  }

  /** Does work on behalf of a session, which stays open meanwhile. */
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
