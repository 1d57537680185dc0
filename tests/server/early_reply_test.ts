import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { artifactId, encodeArtifact } from "../../artifacts/artifact_file.ts";
import { sampleArtifact } from "../artifacts/store/samples.ts";
import { type Serving, serving } from "./serving.ts";

const BYTES = 8_000_000;
const FIRST = 100_000;
/** `@hono/node-server` closes a connection with an unread body 500 ms after the end of the reply. */
const SLOW_MS = 800;

/** A client that sends the parts of a request when the test says so. */
class SlowClient implements Disposable {
  #socket: Socket;
  #text = "";
  #failure: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => this.#text += bytes.toString("latin1"));
    socket.on("error", (error) => this.#failure = error);
    socket.on("close", () => this.#failure ??= new Error("the server closed the connection"));
  }

  static async connect({ url }: Serving): Promise<SlowClient> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    return new SlowClient(socket);
  }

  send(part: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#socket.write(part, (error) => error ? reject(error) : resolve())
    );
  }

  /** Waits for the next reply. Returns its status and its content. */
  async reply(): Promise<{ status: number; content: string }> {
    for (;;) {
      const end = this.#text.indexOf("\r\n\r\n") + 4;
      const head = this.#text.slice(0, end);
      const length = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1]);
      if (end >= 4 && this.#text.length >= end + length) {
        const content = this.#text.slice(end, end + length);
        this.#text = this.#text.slice(end + length);
        return { status: Number(head.split(" ")[1]), content };
      }
      if (this.#failure) throw this.#failure;
      await pause(10);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

function head(method: string, path: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ host: "localhost", ...headers }).map(([name, value]) => `${name}: ${value}`);
  return [`${method} ${path} HTTP/1.1`, ...lines, "", ""].join("\r\n");
}

/** One chunk of a body with `Transfer-Encoding: chunked`. */
function chunk(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
}

Deno.test("a reply to a request that still sends its body arrives, and the connection remains usable", async () => {
  const content = encodeArtifact(sampleArtifact(1, (BYTES - 4000) / 4));
  const known = await artifactId(content);
  await using server = await serving({ storeBytes: 9_000_000 });
  await using locked = await serving({ apiKey: "secret", limits: { maxArtifactBytes: 1_000_000 } });
  const first = await server.ask(`/v1/artifacts/${known}`, { method: "PUT", body: content });
  assert.equal(first.status, 201);
  await first.body?.cancel();

  const artifact = `/v1/artifacts/${"0".repeat(64)}`;
  const key = { authorization: "Bearer secret" };
  const cases: [string, Serving, string, string, Record<string, string>, number][] = [
    ["a full store", server, "PUT", artifact, {}, 507],
    ["a known artifact", server, "PUT", `/v1/artifacts/${known}`, {}, 200],
    ["no route", server, "POST", "/v1/artifacts/", {}, 404],
    ["a wrong method", server, "POST", artifact, {}, 405],
    ["no key", locked, "PUT", artifact, {}, 401],
    ["a large artifact", locked, "PUT", artifact, key, 413],
    ["a large body", locked, "POST", "/v1/jobs", { "content-type": "application/json", ...key }, 413],
  ];
  await Promise.all(
    cases.flatMap((each) => [false, true].map((isChunked) => [...each, isChunked] as const)).map(
      async ([name, at, method, path, headers, status, isChunked]) => {
        using client = await SlowClient.connect(at);
        const framed = isChunked ? chunk : (bytes: Uint8Array) => bytes;
        const size = isChunked
          ? { "transfer-encoding": "chunked" }
          : { "content-length": String(content.length) };
        await client.send(head(method, path, { ...size, ...headers }));
        const half = content.length / 2;
        await client.send(framed(content.subarray(0, FIRST)));
        // A limit on bytes is seen only after them.
        if (isChunked || status === 507) await client.send(framed(content.subarray(FIRST, half)));
        const reply = await client.reply();
        const about = `${name}, ${isChunked ? "chunked" : "of a known length"}`;
        assert.equal(reply.status, status, about);
        JSON.parse(reply.content);
        await pause(SLOW_MS);
        if (!(isChunked || status === 507)) await client.send(framed(content.subarray(FIRST, half)));
        await client.send(framed(content.subarray(half)));
        if (isChunked) await client.send("0\r\n\r\n");
        await client.send(head("GET", "/v1/models", headers));
        assert.equal((await client.reply()).status, at === locked && status === 401 ? 401 : 200, about);
      },
    ),
  );
});
