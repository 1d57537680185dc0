/**
 * BullMQ queues on Redis or PostgreSQL, and their connections.
 *
 * @module
 */

import {
  type BackendFactory,
  createPostgresBackend,
  createRedisBackend,
  type IQueueBackend,
  type Job,
  Queue,
  QueueEvents,
  QueueEventsProducer,
  runMigrations,
  Worker,
  type WorkerOptions,
} from "bullmq";
import { Redis } from "ioredis";
import type { EventEmitter } from "node:events";
import process from "node:process";
// @ts-types="./pg.d.ts"
import { Client } from "pg";
import { permissionError } from "../errors/permission_error.ts";
import { PixstageError } from "../errors/pixstage_error.ts";
import type { QueueAddress } from "./address.ts";

/** A queue, for adding jobs. */
export type JobQueue = Queue<unknown, unknown, string, unknown, unknown, string, IQueueBackend, QueueAddress>;

/** Listens to the events of a queue. */
export type JobEvents = QueueEvents<unknown, IQueueBackend, QueueAddress>;

/** Adds custom events to those of a queue. */
export type JobEventWriter = QueueEventsProducer<IQueueBackend, QueueAddress>;

/** Takes jobs from a queue. */
export type JobWorker = Worker<unknown, unknown, string, IQueueBackend, object, QueueAddress>;

/** A job that a worker has taken from a queue. */
export type TakenJob = Job<unknown, unknown, string>;

/** Processes a job. The token identifies the worker's lock on the job. */
export type DoJob = (job: TakenJob, token: string) => Promise<unknown>;

/** Prefix of keys in Redis, and schema of the tables in PostgreSQL. */
const NAMESPACE = "pixstage";

/** Time limit, in ms, for the first connection. */
const CONNECT_MS = 5000;

/** Maximum time, in ms, between two attempts to reconnect to a lost server. */
const RECONNECT_MS = 1000;

/** Maximum number of connections that a queue on PostgreSQL uses for its queries. */
const POOL = 2;

/** The Redis or PostgreSQL server that stores the queues. */
export class QueueBackend {
  readonly address: QueueAddress;
  #onError: (error: Error) => void;
  #open = new Set<{ close(): Promise<void> }>();
  readonly #connections = new Set<IQueueBackend>();

  private constructor(address: QueueAddress, onError: (error: Error) => void) {
    this.address = address;
    this.#onError = onError;
  }

  /**
   * Connects to the server, and creates the tables in PostgreSQL. The password is read from
   * `PIXSTAGE_QUEUE_PASSWORD`.
   *
   * @param address The address of the server.
   * @param onError Called with errors in the background, e.g. a lost connection, which BullMQ reopens.
   * @throws {PixstageError} if the server cannot be reached.
   */
  static async connect(
    address: QueueAddress,
    onError: (error: Error) => void = () => {},
  ): Promise<QueueBackend> {
    try {
      await (address.kind === "redis" ? tryRedis(address) : preparePostgres(address));
    } catch (cause) {
      const reason = cause instanceof Error && cause.message !== "" ? cause.message : String(cause);
      throw permissionError(cause) ?? new PixstageError(
        "unreachable",
        `Cannot reach the queue at ${address.host}:${address.port}: ${reason}. Is ${
          address.kind === "redis" ? "Redis" : "PostgreSQL"
        } running there, and is PIXSTAGE_QUEUE_PASSWORD correct?`,
        { cause },
      );
    }
    return new QueueBackend(address, onError);
  }

  /** Opens a queue for adding jobs. */
  queue(name: string): JobQueue {
    return this.#track(
      new Queue(name, { connection: this.address, prefix: NAMESPACE }, this.#createBackend),
    );
  }

  /** Opens the events of a queue for listening. */
  events(name: string): JobEvents {
    return this.#track(
      new QueueEvents(name, { connection: this.address, prefix: NAMESPACE }, this.#createBackend),
    );
  }

  /** Opens the events of a queue for writing. */
  eventWriter(name: string): JobEventWriter {
    return this.#track(
      new QueueEventsProducer(name, { connection: this.address, prefix: NAMESPACE }, this.#createBackend),
    );
  }

  /** Starts to take jobs from a queue. */
  worker(name: string, work: DoJob, options: Partial<WorkerOptions<QueueAddress>>): JobWorker {
    return this.#track(
      new Worker<unknown, unknown, string, IQueueBackend, object, QueueAddress>(
        name,
        // If this function had a third parameter, BullMQ would create an AbortSignal for each job.
        (job, token) => work(job, token ?? ""),
        { ...options, connection: this.address, prefix: NAMESPACE },
        this.#createBackend,
      ),
    );
  }

  /**
   * Drops all connections if the server is gone, because closing them would wait for its return. The leases
   * of jobs that cannot be given back expire.
   */
  async disconnectIfGone(): Promise<void> {
    try {
      await (this.address.kind === "redis" ? tryRedis(this.address) : tryPostgres(this.address));
    } catch {
      await Promise.allSettled([...this.#connections].map((connection) => connection.close(true)));
    }
  }

  /** Closes all queues, event streams and workers that are still open. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#open].map((part) => part.close()));
    this.#open.clear();
  }

  /** Closes a single queue, event stream or worker. */
  async end(part: { close(): Promise<void> }): Promise<void> {
    this.#open.delete(part);
    await part.close();
  }

  readonly #createBackend: BackendFactory<IQueueBackend, QueueAddress> = (name, options, places) => {
    const connection = createBackend(name, options, places);
    this.#connections.add(connection);
    return connection;
  };

  #track<Part extends EventEmitter & { close(): Promise<void> }>(part: Part): Part {
    part.on("error", this.#onError);
    this.#open.add(part);
    return part;
  }
}

const createBackend: BackendFactory<IQueueBackend, QueueAddress> = (name, options, places) => {
  const { connection: address } = options;
  return address.kind === "redis"
    ? createRedisBackend(name, { ...options, connection: redisOptions(address) }, places)
    : createPostgresBackend(name, { ...options, connection: postgresOptions(address) }, places);
};

function password(): string | undefined {
  return process.env["PIXSTAGE_QUEUE_PASSWORD"] || undefined;
}

function redisOptions({ host, port, tls, user, database }: QueueAddress) {
  const secret = password();
  return {
    host,
    port,
    db: Number(database ?? 0),
    ...(user === undefined ? {} : { username: user }),
    ...(secret === undefined ? {} : { password: secret }),
    ...(tls ? { tls: {} } : {}),
    maxRetriesPerRequest: null,
    retryStrategy: (times: number) => Math.min(2 ** times * 25, RECONNECT_MS),
  };
}

function clientConfig({ host, port, tls, user, database }: QueueAddress) {
  const secret = password();
  return {
    host,
    port,
    ...(user === undefined ? {} : { user }),
    ...(database === undefined ? {} : { database }),
    ...(secret === undefined ? {} : { password: secret }),
    ...(tls ? { ssl: true } : {}),
    connectionTimeoutMillis: CONNECT_MS,
  };
}

function postgresOptions(address: QueueAddress) {
  return { ...clientConfig(address), schema: NAMESPACE, max: POOL };
}

/** Connects once, without retries. */
async function tryRedis(address: QueueAddress): Promise<void> {
  const client = new Redis({
    ...redisOptions(address),
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  // The error of `connect` only says that the connection was closed; the event contains the reason.
  let reason: Error | undefined;
  client.on("error", (error: Error) => reason ??= error);
  try {
    await client.connect();
    await client.ping();
  } catch (error) {
    throw reason ?? error;
  } finally {
    client.disconnect();
  }
}

/** Connects once, without retries. */
async function tryPostgres(address: QueueAddress): Promise<void> {
  await withPostgres(address, () => Promise.resolve());
}

/** Connects once, and creates the tables or migrates them to the current version. */
async function preparePostgres(address: QueueAddress): Promise<void> {
  await withPostgres(address, (client) => runMigrations(client, NAMESPACE));
}

async function withPostgres(address: QueueAddress, use: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client(clientConfig(address));
  client.on("error", () => {});
  try {
    await client.connect();
    await use(client);
  } finally {
    await client.end().catch(() => {});
  }
}
