import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { createServer } from "../../server/create_server.ts";
import { MODELS, serving } from "./serving.ts";

const BODY = JSON.stringify({ model: "tiny", prompt: "cat", size: "256x256", steps: 150 });

/** Sends a request as raw text and leaves after a while. */
async function leave(url: string, text: string, afterMs: number): Promise<void> {
  const { hostname, port } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(new TextEncoder().encode(text));
  await pause(afterMs);
  connection.close();
}

function head(path: string, length: number): string {
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${length}\r\n\r\n`;
}

Deno.test("a client that leaves causes no fault in the log and no 503 in the metrics, and its job ends", async () => {
  const entries: { event: string; fields: Readonly<Record<string, unknown>> }[] = [];
  await using server = await serving({ log: (event, fields = {}) => entries.push({ event, fields }) });
  const statuses = () =>
    entries.filter(({ event }) => event === "request").map(({ fields }) => fields["status"]);

  // 1. In the middle of a body.
  await leave(server.url, head("/v1/jobs", 1000) + '{"request":', 100);
  const artifact = `/v1/artifacts/${"0".repeat(64)}`;
  await leave(server.url, head(artifact, 1000).replace("POST", "PUT") + "safetensors", 100);
  // 2. While the picture is being made.
  await leave(server.url, head("/v1/images/generations", BODY.length) + BODY, 1500);
  while (statuses().length < 3) await pause(50);
  assert.deepEqual(statuses().slice(0, 3), [499, 499, 499]);

  const { data } = await (await server.ask("/v1/jobs")).json();
  assert.deepEqual(data.map(({ status }: { status: string }) => status), ["cancelled"]);
  assert.deepEqual(entries.filter(({ event }) => /fault/.test(event)), []);
  const figures = await (await server.ask("/metrics")).text();
  assert.match(figures, /route="\/v1\/images\/generations",status="499"\} 1/);
  assert.doesNotMatch(figures, /status="5\d\d"/);
});

Deno.test("a client that leaves in the middle of a body causes no fault with another listener either", async () => {
  const entries: { event: string; fields: Readonly<Record<string, unknown>> }[] = [];
  const store = await Deno.makeTempDir();
  const server = await createServer({
    models: MODELS,
    store,
    log: (event, fields = {}) => entries.push({ event, fields }),
  });
  const listener = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, server.fetch);
  try {
    const whole = head("/v1/jobs", 1000);
    const chunked = whole.replace("Content-Length: 1000", "Transfer-Encoding: chunked");
    const bodies = [
      whole + '{"request":',
      chunked + 'b\r\n{"request":\r\n',
      head(`/v1/artifacts/${"0".repeat(64)}`, 1000).replace("POST", "PUT") + "safetensors",
    ];
    for (const text of bodies) await leave(`http://127.0.0.1:${listener.addr.port}`, text, 50);
    while (entries.length < bodies.length) await pause(20);
    assert.deepEqual(
      entries.map(({ event, fields }) => [event, fields["status"]]),
      bodies.map(() => ["request", 499]),
    );
  } finally {
    await server.close();
    await listener.shutdown();
    await Deno.remove(store, { recursive: true });
  }
});
