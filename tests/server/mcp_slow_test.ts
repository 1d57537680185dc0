import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
// Deno 2.9.6 does not find the library's types under the names of its modules.
// @ts-types="@modelcontextprotocol/sdk/client"
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
// @ts-types="@modelcontextprotocol/sdk/client/streamableHttp"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { z } from "zod";
import { decodePicture } from "../../images/picture.ts";
import { type Serving, serving } from "./serving.ts";

const resultSchema = z.object({
  content: z.array(z.discriminatedUnion("type", [
    z.object({ type: z.literal("image"), data: z.string(), mimeType: z.string() }),
    z.object({ type: z.literal("text"), text: z.string() }),
  ])),
  isError: z.boolean().optional(),
});

const SMALL = { prompt: "a cat", width: 64, height: 64, steps: 3, guidance_scale: 1, seed: 7 };

/** Returns a connected client of the SDK. */
async function connected(server: Serving, headers: Record<string, string> = {}) {
  const client = new Client({ name: "test", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(`${server.url}/mcp`), {
    requestInit: { headers },
  });
  await client.connect(transport);
  return {
    client,
    transport,
    async [Symbol.asyncDispose]() {
      await client.close();
    },
  };
}

function textOf({ content }: z.infer<typeof resultSchema>): string {
  return content.flatMap((part) => part.type === "text" ? [part.text] : []).join("\n");
}

Deno.test("the SDK's client lists tools and models, and gets pictures with their settings and progress", async () => {
  await using server = await serving();
  await using session = await connected(server);
  const { client } = session;
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map(({ name }) => name), ["generate_image", "list_models"]);
  assert.deepEqual(tools[0]?.inputSchema.required, ["prompt"]);
  const listed = JSON.parse(textOf(resultSchema.parse(await client.callTool({ name: "list_models" }))));
  assert.deepEqual(listed.models.map(({ name }: { name: string }) => name), ["tiny", "tiny-sigma"]);

  const seen: (readonly [number, number | undefined])[] = [];
  const call = { name: "generate_image", arguments: { ...SMALL, n: 2, format: "png" } };
  const options = {
    onprogress: ({ progress, total }: { progress: number; total?: number | undefined }) =>
      void seen.push([progress, total]),
  };
  const result = resultSchema.parse(await client.callTool(call, undefined, options));
  const images = result.content.filter(({ type }) => type === "image");
  assert.equal(images.length, 2);
  for (const image of images) {
    assert(image.type === "image" && image.mimeType === "image/png");
    const { pixels } = await decodePicture(Uint8Array.fromBase64(image.data));
    assert.deepEqual([pixels.width, pixels.height], [64, 64]);
  }
  assert.deepEqual(seen.at(-1), [6, 6]);
  assert(seen.every(([progress], index) => index === 0 || progress > seen[index - 1]![0]), "progress grows");
  const text = textOf(result);
  const [, address = ""] = /64x64, seed 8: (http:\S+)/.exec(text) ?? [];
  const picture = await fetch(address);
  assert.deepEqual([picture.status, picture.headers.get("content-type")], [200, "image/png"]);
  await picture.body?.cancel();
  assert.match(text, /model: tiny/);

  const webp = resultSchema.parse(await client.callTool({ name: "generate_image", arguments: SMALL }));
  assert.equal(webp.content[0]?.type === "image" && webp.content[0].mimeType, "image/webp");
});

Deno.test("a refused request returns a tool error with the server's message", async () => {
  await using server = await serving();
  await using session = await connected(server);
  const refused: readonly [object, RegExp][] = [
    [{ ...SMALL, model: "nobody" }, /There is no model "nobody"/],
    [{ ...SMALL, scheduler: "turbo" }, /turbo/],
    [{ ...SMALL, width: 1e6 }, /must be at most 2048/],
    [{ ...SMALL, steps: 0 }, /steps|>=1|at least/],
    [{ ...SMALL, prompt: "\u0007" }, /control characters/],
    [{}, /prompt/],
  ];
  for (const [input, message] of refused) {
    const result = resultSchema.parse(
      await session.client.callTool({ name: "generate_image", arguments: { ...input } }),
    );
    assert.equal(result.isError, true, JSON.stringify(input));
    assert.match(textOf(result), message);
  }
});

Deno.test("a cancelled call cancels its job", async () => {
  await using server = await serving();
  await using session = await connected(server);
  const giveUp = new AbortController();
  const call = session.client.callTool(
    { name: "generate_image", arguments: { ...SMALL, steps: 150, width: 512, height: 512 } },
    undefined,
    { signal: giveUp.signal, onprogress: () => giveUp.abort("enough") },
  );
  await assert.rejects(call, /enough/);
  const status = async () => (await (await server.ask("/v1/jobs")).json()).data[0].status;
  for (let waited = 0; await status() !== "cancelled"; waited += 20) {
    assert(waited < 10_000, await status());
    await delay(20);
  }
  // The session continues.
  assert.equal((await session.client.listTools()).tools.length, 2);
});

Deno.test("a body of another type, and a batch of more than 16 messages, are refused at once", async () => {
  await using server = await serving();
  const pings = (count: number) =>
    Array.from({ length: count }, (_, id) => ({ jsonrpc: "2.0", id, method: "ping" }));
  const post = async (body: string, type: string) => {
    const reply = await server.ask("/mcp", {
      method: "POST",
      headers: { "content-type": type, accept: "application/json, text/event-stream" },
      body,
    });
    return [reply.status, (await reply.json()).error.code];
  };
  const deep = "[".repeat(100_000) + "]".repeat(100_000);
  const other = "text/plain;application/json";
  const began = performance.now();
  assert.deepEqual(await post(JSON.stringify(pings(20_000)), other), [415, "unsupported_media_type"]);
  assert.deepEqual(await post(deep, other), [415, "unsupported_media_type"]);
  assert.deepEqual(await post(deep, "application/json; charset=utf-8"), [413, "too_large"]);
  assert.deepEqual(await post(JSON.stringify(pings(17)), "application/json"), [413, "too_large"]);
  assert.deepEqual(await post("{", "application/json"), [400, "bad_request"]);
  // Without a session, a batch within the limit is refused by the protocol itself.
  assert.deepEqual(await post(JSON.stringify(pings(16)), "application/json"), [400, "bad_request"]);
  const waited = performance.now() - began;
  assert.ok(waited < 2000, `It took ${waited} ms`);
});

Deno.test("the API key, the host and origin checks, and the limits apply to the protocol", async () => {
  await using server = await serving({ apiKey: "s3cret", limits: { maxMcpSessions: 2 } });
  await assert.rejects(connected(server), /401|invalid_api_key|Unauthorized/i);
  const bearer = { authorization: "Bearer s3cret" };
  const post = async (body: unknown, headers: Record<string, string> = {}) => {
    const reply = await server.post("/mcp", body, {
      accept: "application/json, text/event-stream",
      ...bearer,
      ...headers,
    });
    return [reply.status, (await reply.json()).error?.code];
  };
  assert.deepEqual(await post({}, { origin: "http://evil.example" }), [403, "origin_not_allowed"]);
  assert.deepEqual(await post({}), [400, "bad_request"]);
  assert.deepEqual(await post([]), [400, "bad_request"]);
  assert.deepEqual(await post({ jsonrpc: "2.0", id: 1, method: "tools/list" }), [400, "bad_request"]);
  assert.deepEqual(await post({}, { "mcp-session-id": crypto.randomUUID() }), [404, "session_not_found"]);
  assert.deepEqual(await post({ a: "x".repeat(2 << 20) }), [413, "too_large"]);
  const stream = await server.ask("/mcp", { headers: bearer });
  assert.deepEqual([stream.status, (await stream.json()).error.code], [400, "bad_request"]);
  const put = await server.ask("/mcp", { method: "PUT", headers: bearer });
  assert.deepEqual([put.status, (await put.json()).error.code], [405, "method_not_allowed"]);

  // The least recently used session is closed.
  const sessions = [];
  for (let count = 0; count < 3; count++) sessions.push(await connected(server, bearer));
  await assert.rejects(sessions[0]!.client.listTools(), /session/i);
  assert.equal((await sessions[2]!.client.listTools()).tools.length, 2);
  await sessions[2]!.transport.terminateSession();
  for (const session of sessions) await session.client.close();
});
