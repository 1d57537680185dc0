import assert from "node:assert/strict";
import { PixstageError } from "../../errors/pixstage_error.ts";
import { toPixstageError } from "../../errors/foreign_error.ts";
import { listen, type ListenOptions } from "../../server/listen.ts";
import { LINUX, needing } from "../needing.ts";
import { type Serving, serving } from "./serving.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

async function pause(milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Sends a raw request, with head and body in one packet or in two. */
async function send(
  port: number,
  { path, body, packets }: { readonly path: string; readonly body: string; readonly packets: 1 | 2 },
): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${text(body).length}\r\n\r\n`;
  if (packets === 1) await connection.write(text(head + body));
  else {
    await connection.write(text(head));
    await pause(50);
    await connection.write(text(body));
  }
  return connection;
}

/** Waits for the newest job of a server to have a status. */
async function waitForJob(server: Serving, status: string): Promise<void> {
  let seen;
  for (let tries = 0; tries < 100; tries++) {
    const { data } = await (await server.ask("/v1/jobs?limit=1")).json();
    seen = data[0]?.status;
    if (seen === status) return;
    await pause(100);
  }
  assert.fail(`the job is ${seen}`);
}

const LONG = { model: "tiny", steps: 150, size: "512x512" };

Deno.test("a client that leaves is noticed, with or without a stream, and its job is cancelled", async () => {
  const seen: [string, unknown][] = [];
  await using server = await serving({ log: (event, fields) => seen.push([event, fields?.["status"]]) });
  const port = Number(new URL(server.url).port);
  const encode = (prompt: string) => ({ parameters: { model: "tiny", prompts: [prompt] } });
  const before = await (await server.post("/v1/jobs", {
    request: { model: "tiny", prompts: ["a long one"], steps: 150, width: 512, height: 512 },
  })).json();
  for (const packets of [1, 2] as const) {
    for (const length of [10, 1500]) {
      const prompt = "x".repeat(length - 1) + packets;
      const requests: [string, object][] = [
        ["/v1/images/generations", { ...LONG, prompt }],
        ["/v1/images/generations", { ...LONG, prompt, stream: true }],
        ["/v1/stages/encode", encode(prompt)],
      ];
      for (const [path, body] of requests) {
        const connection = await send(port, { path, body: JSON.stringify(body), packets });
        await waitForJob(server, "queued");
        connection.close();
        await waitForJob(server, "cancelled");
      }
    }
  }
  {
    using upload = await Deno.connect({ hostname: "127.0.0.1", port });
    const head = `PUT /v1/artifacts/${
      "0".repeat(64)
    } HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n`;
    await upload.write(text(`${head}half`));
    await pause(200);
  }
  await (await server.post(`/v1/jobs/${before.id}/cancel`, {})).body?.cancel();
  await pause(500);
  assert.ok(seen.every(([event]) => event !== "fault"), "a client that leaves causes no fault");
  assert.equal(seen.filter(([, status]) => status === 499).length, 9, "and is counted as such");
});

Deno.test("Deno 2.9.6's own server does not report that a client leaves, so pixstage does not use it", async () => {
  const aborted: number[] = [];
  const listener = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { p } = await request.json();
    const answered = performance.now() + 1500;
    request.signal.addEventListener("abort", () => {
      if (performance.now() < answered) aborted.push(p.length);
    });
    await pause(1500);
    return new Response("late");
  });
  for (const length of [10, 1500]) {
    const body = JSON.stringify({ p: "x".repeat(length) });
    const connection = await send(listener.addr.port, { path: "/", body, packets: 1 });
    await pause(200);
    connection.close();
  }
  await pause(1600);
  await listener.shutdown();
  const message =
    "Deno tells it now: server/listen.ts may use Deno.serve again if that also ends connections that hang";
  assert.deepEqual(aborted, [10], message);
});

/** Starts a listener for a server that replies after a delay. */
async function slowly(milliseconds: number, options: ListenOptions) {
  return await listen({
    async fetch(request) {
      await request.body?.cancel();
      await pause(milliseconds);
      return new Response("late");
    },
  }, { port: 0, ...options });
}

Deno.test("hanging connections are closed, and those that wait for a reply are not", async () => {
  const listener = await slowly(2500, { headMs: 300, requestMs: 600, restMs: 300 });
  const answer = async (...parts: string[]): Promise<string> => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: listener.port });
    for (const part of parts) await connection.write(text(part));
    const began = performance.now();
    const given = await new Response(connection.readable).text();
    const seconds = (performance.now() - began) / 1000;
    return `${given.split("\r\n")[0]} in ${seconds < 2 ? "time" : `${seconds} s`}`;
  };
  const [idle, halfHead, halfBody, slow] = await Promise.all([
    answer(),
    answer("GET / HTTP/1.1\r\nHo"),
    answer("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf"),
    answer("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
  ]);
  for (const hung of [idle, halfHead, halfBody]) {
    assert.match(hung!, /^(?:HTTP\/1\.1 408 .*|HTTP\/1\.1 400 .*|) in time$/);
  }
  assert.match(slow!, /^HTTP\/1\.1 200 OK in [23]/, "answered, and closed when it rested");
  await listener.close();
});

Deno.test("connections beyond the limit are closed, and the listener continues", async () => {
  const listener = await slowly(0, { maxConnections: 5 });
  const open = () => Deno.connect({ hostname: "127.0.0.1", port: listener.port });
  const held = await Promise.all(Array.from({ length: 5 }, open));
  await pause(100);
  for (let i = 0; i < 20; i++) {
    using more = await open();
    assert.equal(await more.read(new Uint8Array(1)).catch(() => null), null, "closed at once");
  }
  for (const connection of held) connection.close();
  await pause(200);
  const reply = await fetch(`http://127.0.0.1:${listener.port}/`);
  assert.equal(await reply.text(), "late");
  await listener.close();
});

Deno.test(needing(LINUX, {
  name: "the system probes whether a silent client still exists",
  async fn() {
    const listener = await slowly(1000, {});
    const connection = await send(listener.port, { path: "/", body: "{}", packets: 1 });
    await pause(300);
    const address = (port: number): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
    const { port: remote } = connection.localAddr;
    // Columns after the line number: local and remote address, state, queues, kind of timer (2 for
    // keep-alive), its time.
    const line = new RegExp(`: ${address(listener.port)} ${address(remote)} 01 \\S+ 02:`);
    assert.match(await Deno.readTextFile("/proc/net/tcp"), line);
    connection.close();
    await listener.close();
  },
}));

Deno.test("a listener supports HTTP/1.0, refuses TRACE, closes while streams are open, and reports that a port is in use", async () => {
  const server = await serving();
  const port = Number(new URL(server.url).port);
  using old = await Deno.connect({ hostname: "127.0.0.1", port });
  await old.write(text("GET /healthz HTTP/1.0\r\n\r\n"));
  assert.match(
    await new Response(old.readable).text(),
    /^HTTP\/1\.[01] 200 OK\r\n[^]*\r\n\r\n\{"status":"ok"\}$/,
  );

  using traced = await Deno.connect({ hostname: "127.0.0.1", port });
  await traced.write(text("TRACE /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
  assert.match(
    await new Response(traced.readable).text(),
    /^HTTP\/1\.1 405 [^]*"code":"method_not_allowed"/,
  );

  await assert.rejects(listen({ fetch: () => new Response() }, { port }), (error) => {
    const known = toPixstageError(error);
    assert.ok(known instanceof PixstageError);
    assert.equal(known.code, "address_in_use");
    return true;
  });
  const order = await (await server.post("/v1/jobs", {
    request: { model: "tiny", prompts: ["a long one"], steps: 150, width: 512, height: 512 },
  })).json();
  const stream = await server.ask(order.events_url);
  const began = performance.now();
  await server[Symbol.asyncDispose]();
  assert.ok(performance.now() - began < 15_000);
  await stream.text().catch(() => {});
});
