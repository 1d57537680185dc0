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

/** Address of a queue. It contains no password, so it can be logged and recorded in provenance. */
export interface QueueAddress {
  /** The address as the user gave it. Graphs use it as the name of the executor. */
  readonly name: string;
  /** The kind of server that stores the jobs. */
  readonly kind: "redis" | "postgres";
  readonly host: string;
  readonly port: number;
  /** Whether the connection is encrypted. */
  readonly tls: boolean;
  /** User name, if the address contains one. */
  readonly user: string | undefined;
  /** Number of the Redis database or name of the PostgreSQL database. The default is the server's own. */
  readonly database: string | undefined;
  /** Priority of the jobs: 0 comes first, then 1, and so on. */
  readonly priority: number;
}

const KINDS: Readonly<Record<string, Pick<QueueAddress, "kind" | "port" | "tls">>> = {
  "redis:": { kind: "redis", port: 6379, tls: false },
  "rediss:": { kind: "redis", port: 6379, tls: true },
  "postgres:": { kind: "postgres", port: 5432, tls: false },
  "postgresql:": { kind: "postgres", port: 5432, tls: false },
};

/** Matches a host name or an IP address. */
const HOST = /^(?:[\w.-]+|\[[0-9a-f:.]+\])$/i;

const SHAPE = "queue:redis://HOST:PORT/DATABASE or queue:postgres://USER@HOST:PORT/DATABASE";

const querySchema = z.strictObject({
  priority: z.coerce.number().int().min(0).max(LAST_PRIORITY).default(0),
  tls: z.enum(["true", "false"]).optional(),
});

/** Returns whether the name of an executor is the address of a queue. */
export function isQueueAddress(name: string): boolean {
  return /^queue:/i.test(name);
}

/**
 * Parses the address of a queue.
 *
 * @param text The address. The prefix `queue:` is optional.
 * @throws {InputError} if the text is not an address of a queue, or contains a password.
 */
export function parseQueueAddress(text: string): QueueAddress {
  const rest = text.replace(/^queue:/i, "");
  const url = URL.canParse(rest) ? new URL(rest) : undefined;
  if (url?.password) {
    throw new InputError(
      "invalid_value",
      `Cannot use the queue at ${url.host} because its address contains a password, which logs and pictures would show: ` +
        "remove it, and set PIXSTAGE_QUEUE_PASSWORD",
    );
  }
  const kind = url && Object.hasOwn(KINDS, url.protocol) ? KINDS[url.protocol] : undefined;
  if (!url || !kind || !HOST.test(url.hostname) || url.hash !== "") throw noQueue(text);
  const database = decoded(url.pathname.slice(1), text) || undefined;
  if (kind.kind === "redis" && database !== undefined && !/^\d{1,5}$/.test(database)) {
    throw new InputError(
      "invalid_value",
      `Cannot use the queue because the Redis database must be a number: current value is "${database}"`,
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
    `Cannot use the queue because its address must be ${SHAPE}: current value is "${text}"`,
  );
}
