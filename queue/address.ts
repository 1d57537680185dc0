// This module is browser compatible.

/**
 * Addresses of queues: `queue:redis://host:6379/0`, `queue:postgres://user@host/database`.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../errors/pixstage_error.ts";
import { parseValue } from "../errors/parse_value.ts";

/** The largest priority of BullMQ; a smaller number comes first. */
const LAST_PRIORITY = 2_097_151;

/** Where a queue is. It holds no password, so that it may be logged and written into provenance. */
export interface QueueAddress {
  /** The address as it was given: graphs call the executor by it. */
  readonly name: string;
  /** What keeps the jobs. */
  readonly kind: "redis" | "postgres";
  readonly host: string;
  readonly port: number;
  /** Whether the connection is encrypted. */
  readonly tls: boolean;
  /** The user, where one is named. */
  readonly user: string | undefined;
  /** The number of Redis' database, or the name of PostgreSQL's; the server's own default unless given. */
  readonly database: string | undefined;
  /** The priority of jobs: 0 comes first, then 1, and so on. */
  readonly priority: number;
}

const KINDS: Readonly<Record<string, Pick<QueueAddress, "kind" | "port" | "tls">>> = {
  "redis:": { kind: "redis", port: 6379, tls: false },
  "rediss:": { kind: "redis", port: 6379, tls: true },
  "postgres:": { kind: "postgres", port: 5432, tls: false },
  "postgresql:": { kind: "postgres", port: 5432, tls: false },
};

/** A name or an IP address. */
const HOST = /^(?:[\w.-]+|\[[0-9a-f:.]+\])$/i;

const SHAPE = "queue:redis://HOST:PORT/DATABASE or queue:postgres://USER@HOST:PORT/DATABASE";

const querySchema = z.strictObject({
  priority: z.coerce.number().int().min(0).max(LAST_PRIORITY).default(0),
  tls: z.enum(["true", "false"]).optional(),
});

/** Whether an executor's name is the address of a queue. */
export function isQueueAddress(name: string): boolean {
  return /^queue:/i.test(name);
}

/**
 * Reads the address of a queue.
 *
 * @param text The address; `queue:` may be left out where only a queue can stand.
 * @throws {InputError} if it is none, or carries a password.
 */
export function parseQueueAddress(text: string): QueueAddress {
  const rest = text.replace(/^queue:/i, "");
  const url = URL.canParse(rest) ? new URL(rest) : undefined;
  if (url?.password) {
    throw new InputError(
      "invalid_value",
      `Cannot use the queue at ${url.host} as its address carries a password, which logs and pictures would show: ` +
        "leave it out, and set PIXSTAGE_QUEUE_PASSWORD",
    );
  }
  const kind = url && Object.hasOwn(KINDS, url.protocol) ? KINDS[url.protocol] : undefined;
  if (!url || !kind || !HOST.test(url.hostname) || url.hash !== "") throw noQueue(text);
  const database = decoded(url.pathname.slice(1), text) || undefined;
  if (kind.kind === "redis" && database !== undefined && !/^\d{1,5}$/.test(database)) {
    throw new InputError(
      "invalid_value",
      `Cannot use a queue as the database of Redis must be a number: current value is "${database}"`,
    );
  }
  const { priority, tls } = parseValue(querySchema, Object.fromEntries(url.searchParams));
  return {
    name: text,
    kind: kind.kind,
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? kind.port : Number(url.port),
    tls: tls === undefined ? kind.tls : tls === "true",
    user: decoded(url.username, text) || undefined,
    database,
    priority,
  };
}

function decoded(part: string, text: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw noQueue(text);
  }
}

function noQueue(text: string): InputError {
  return new InputError(
    "invalid_value",
    `Cannot use a queue as its address must be ${SHAPE}: current value is "${text}"`,
  );
}
