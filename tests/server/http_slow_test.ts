import assert from "node:assert/strict";
import OpenAI from "openai";
import { createClient } from "../../client.ts";
import { HttpExecutor } from "../../graph/executors/http.ts";
import { runGraph } from "../../graph/run.ts";
import { requestedRange } from "../../server/byte_range.ts";
import { builtInStages } from "../../stages/mod.ts";
import { serving, sseEvents } from "./serving.ts";

const PICTURE = { model: "tiny", steps: 2, width: 64, height: 64, seeds: [3] };

/** Sends raw bytes, and returns the complete reply. */
async function sendRaw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(new TextEncoder().encode(text));
  return await new Response(connection.readable).text();
}

Deno.test("HEAD returns GET's length without a body", async () => {
  await using server = await serving();
  const made = await (await server.post("/v1/images/generations", {
    prompt: "cat",
    model: "tiny",
    steps: 2,
    size: "64x64",
    response_format: "url",
  })).json();
  const picture = new URL(made.data[0].url);
  for (const path of ["/", "/healthz", "/v1/models", "/openapi.json", picture.pathname + picture.search]) {
    const whole = await server.ask(path);
    const head = await sendRaw(
      server.url,
      `HEAD ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    );
    assert.match(head, /^HTTP\/1\.1 200/);
    assert.match(head, new RegExp(`content-length: ${(await whole.bytes()).length}\r\n`), path);
    assert.ok(head.endsWith("\r\n\r\n"), "no body");
  }
  const { data: [job] } = await (await server.ask("/v1/jobs")).json();
  const events = `HEAD /v1/jobs/${job.id}/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
  assert.doesNotMatch(await sendRaw(server.url, events), /content-length: 0/);
});

Deno.test("a route that refuses a method lists the allowed ones", async () => {
  await using server = await serving();
  const cases = [
    ["PUT", "/v1/jobs", 405, "POST, GET, HEAD, OPTIONS"],
    ["DELETE", "/healthz", 405, "GET, HEAD, OPTIONS"],
    ["GET", "/v1/images/generations", 405, "POST, OPTIONS"],
    ["POST", `/v1/artifacts/${"0".repeat(64)}`, 405, "GET, HEAD, PUT, OPTIONS"],
    ["OPTIONS", "/v1/images/generations", 204, "POST, OPTIONS"],
    ["OPTIONS", "/nothing", 404, null],
    ["PUT", "/nothing", 404, null],
  ] as const;
  for (const [method, path, status, allow] of cases) {
    const reply = await server.ask(path, { method });
    assert.deepEqual([reply.status, reply.headers.get("allow")], [status, allow], `${method} ${path}`);
    const text = await reply.text();
    if (status === 405) assert.equal(JSON.parse(text).error.code, "method_not_allowed");
  }
  await using guarded = await serving({ apiKey: "secret" });
  assert.equal((await guarded.ask("/v1/jobs", { method: "PUT" })).status, 401);
});

Deno.test("range requests and entity tags follow their conditions", async () => {
  const etag = '"abc"';
  const range = (headers: Record<string, string>) =>
    requestedRange(new Headers({ range: "bytes=2-3", ...headers }), 10, etag);
  assert.deepEqual(range({}), { start: 2, end: 4 });
  assert.deepEqual(range({ "if-range": etag }), { start: 2, end: 4 });
  for (const other of ['"other"', 'W/"abc"', "Wed, 21 Oct 2015 07:28:00 GMT"]) {
    assert.equal(range({ "if-range": other }), undefined, other);
  }

  await using server = await serving();
  const order = await (await server.post("/v1/jobs", { request: { ...PICTURE, prompts: ["cat"] } })).json();
  for await (const { event } of sseEvents(await server.ask(order.events_url))) void event;
  const { images: [image] } = await (await server.ask(`/v1/jobs/${order.id}`)).json();
  const path = `/v1/artifacts/${image.artifact}`;
  const status = async (path: string, headers: Record<string, string>): Promise<number> => {
    const reply = await server.ask(path, { headers });
    await reply.body?.cancel();
    return reply.status;
  };
  assert.equal(await status(path, { range: "bytes=0-9" }), 206);
  assert.equal(await status(path, { range: "bytes=0-9", "if-range": `"${image.artifact}"` }), 206);
  assert.equal(await status(path, { range: "bytes=0-9", "if-range": '"another"' }), 200);
  for (const address of [path, image.url]) assert.equal(await status(address, { "if-none-match": "*" }), 304);
});

Deno.test("a finished event stream replies 204 to clients that have seen its end", async () => {
  await using server = await serving();
  const order = await (await server.post("/v1/jobs", { request: { ...PICTURE, prompts: ["cat"] } })).json();
  let last = "0";
  for await (const { id } of sseEvents(await server.ask(order.events_url))) last = id!;
  const again = async (headers: Record<string, string>): Promise<[number, number]> => {
    const reply = await server.ask(order.events_url, { headers });
    return [reply.status, (await Array.fromAsync(sseEvents(reply))).length];
  };
  const seen = await server.ask(order.events_url, { headers: { "last-event-id": last } });
  assert.deepEqual([seen.status, await seen.text()], [204, ""]);
  assert.deepEqual(await again({ "last-event-id": String(Number(last) - 1) }), [200, 1]);
  assert.equal((await again({}))[0], 200);
});

Deno.test("every stream sends keep-alive comments while its job waits, and disables nginx's buffering", async () => {
  await using server = await serving({ heartbeatMs: 50 });
  const long = { model: "tiny", prompts: ["a long one"], steps: 100, width: 512, height: 512 };
  const before = await (await server.post("/v1/jobs", { request: long })).json();
  const waiting = await (await server.post("/v1/jobs", { request: { ...long, seeds: [2] } })).json();
  const streams = [
    await server.post("/v1/images/generations", { prompt: "cat", model: "tiny", stream: true }),
    await server.post("/v1/stages/encode", { parameters: { model: "tiny", prompts: ["dog"] } }, {
      accept: "text/event-stream",
    }),
    await server.ask(waiting.events_url),
  ];
  for (const stream of streams) {
    assert.equal(stream.headers.get("x-accel-buffering"), "no");
    const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes(": alive\n\n")) text += (await reader.read()).value;
    await reader.cancel();
  }
  for (const { id } of [before, waiting]) {
    await (await server.post(`/v1/jobs/${id}/cancel`, {})).body?.cancel();
  }
});

Deno.test("a request with an invalid Host is refused, and the server continues", async () => {
  await using server = await serving();
  for (const host of ["127.0.0.1%00.evil.com", "a b", "[::1", "a/b@c"]) {
    const reply = await sendRaw(
      server.url,
      `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
    assert.match(reply, /^HTTP\/1\.1 400/, host);
  }
  assert.equal((await server.ask("/healthz")).status, 200);
});

Deno.test("the typed client, OpenAI's client and executors reach a server under a path", async () => {
  await using server = await serving({ basePath: "/pixstage" });
  const base = `${server.url}/pixstage`;
  const models = await createClient(base).v1.models.$get();
  assert.equal(models.status, 200);
  await models.body?.cancel();
  const openai = new OpenAI({ baseURL: `${base}/v1`, apiKey: "none", maxRetries: 0 });
  assert.equal((await openai.models.list()).data.length, 2);
  const graph = {
    pixstage: 1,
    nodes: { text: { stage: "encode", parameters: { model: "tiny", prompts: ["cute cat"] } } },
  };
  const made = await runGraph(graph, { registry: builtInStages(), executors: [new HttpExecutor(base)] });
  assert.ok(made.get("text.embeddings"));
  const { data: [job] } = await (await server.ask("/pixstage/v1/jobs")).json();
  assert.equal(job.events_url, `/pixstage/v1/jobs/${job.id}/events`);
});
