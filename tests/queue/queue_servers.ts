/**
 * Redis and PostgreSQL for tests: real servers, each with a separate port and folder.
 *
 * @module
 */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
// @ts-types="../../queue/pg.d.ts"
import { Client } from "pg";
import type { Need } from "../needing.ts";

/** Returns a port without a listener. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Finds a program of this machine, also in Debian's folders. */
function program(name: string): string | undefined {
  const versions = existsSync("/usr/lib/postgresql") ? readdirSync("/usr/lib/postgresql").sort() : [];
  const folders = [
    ...(Deno.env.get("PATH") ?? "").split(":"),
    ...versions.reverse().map((version) => `/usr/lib/postgresql/${version}/bin`),
  ];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Debian's `redis-server`. */
export const REDIS: Need = { what: "redis-server", isThere: program("redis-server") !== undefined };
/** Debian's `postgresql`. */
export const POSTGRES: Need = { what: "postgresql", isThere: program("initdb") !== undefined };

/** Repeats a check until it succeeds. */
async function until(ask: () => Promise<unknown>): Promise<void> {
  for (let tries = 0;; tries++) {
    try {
      await ask();
      return;
    } catch (error) {
      if (tries === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** A Redis server with an append-only file. */
export class RedisServer implements AsyncDisposable {
  readonly port = freePort();
  readonly #folder: string;
  readonly #flush: "always" | "everysec";
  #process: Deno.ChildProcess | undefined;

  private constructor(folder: string, flush: "always" | "everysec") {
    this.#folder = folder;
    this.#flush = flush;
  }

  /**
   * Starts a server.
   *
   * @param flush How often Redis flushes its file to the disk. Redis's own default is `everysec`.
   */
  static async start(flush: "always" | "everysec" = "always"): Promise<RedisServer> {
    const server = new RedisServer(await Deno.makeTempDir({ prefix: "pixstage-redis-" }), flush);
    await server.up();
    return server;
  }

  /** The server's address, in the form of `--queue`. */
  get address(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts the server, and waits until it listens. */
  async up(): Promise<void> {
    this.#process = new Deno.Command(program("redis-server")!, {
      args: ["--port", String(this.port), "--dir", this.#folder, "--save", "", "--bind", "127.0.0.1"].concat(
        ["--appendonly", "yes", "--appendfsync", this.#flush],
      ),
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await until(async () => {
      const client = new Redis({ port: this.port, lazyConnect: true, retryStrategy: () => null });
      client.on("error", () => {});
      try {
        await client.connect();
        await client.ping();
      } finally {
        client.disconnect();
      }
    });
  }

  /** Stops the server. Its data remains in its file. */
  async down(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    this.#process?.kill(signal);
    await this.#process?.status;
    this.#process = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process) await this.down();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** A PostgreSQL server with one database, `jobs`. */
export class PostgresServer implements AsyncDisposable {
  readonly port = freePort();
  readonly #folder: string;
  #process: Deno.ChildProcess | undefined;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Starts a server. */
  static async start(): Promise<PostgresServer> {
    const folder = await Deno.makeTempDir({ prefix: "pixstage-postgres-" });
    if (Deno.uid() === 0) await new Deno.Command("chown", { args: ["postgres", folder] }).output();
    const server = new PostgresServer(folder);
    const made = await server.#command("initdb", ["-A", "trust", "-U", "pixstage", "--no-sync"]).output();
    if (!made.success) throw new Error(new TextDecoder().decode(made.stderr));
    server.#process = server.#command("postgres", [
      ...["-p", String(server.port), "-k", folder, "-h", "127.0.0.1"],
      ...["-c", "fsync=off", "-c", "max_connections=200"],
    ]).spawn();
    await until(async () => {
      const options = { host: "127.0.0.1", port: server.port, user: "pixstage", database: "postgres" };
      const client = new Client(options);
      client.on("error", () => {});
      try {
        await client.connect();
        await client.query("CREATE DATABASE jobs");
      } finally {
        await client.end().catch(() => {});
      }
    });
    return server;
  }

  /** The server's address, in the form of `--queue`. */
  get address(): string {
    return `postgres://pixstage@127.0.0.1:${this.port}/jobs`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process?.kill("SIGINT");
    await this.#process?.status;
    await Deno.remove(this.#folder, { recursive: true });
  }

  /** Returns the command for a PostgreSQL program, which refuses to run as root. */
  #command(name: string, args: readonly string[]): Deno.Command {
    const own = [program(name)!, "-D", this.#folder, ...args];
    const as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"];
    const [first, ...rest] = Deno.uid() === 0 ? [...as, ...own] : own;
    const silent = name === "postgres" ? "null" : "piped";
    return new Deno.Command(first!, { args: rest, stdin: "null", stdout: silent, stderr: silent });
  }
}
