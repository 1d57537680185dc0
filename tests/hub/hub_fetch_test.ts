import assert from "node:assert/strict";
import { tinyCheckpoint } from "../models/checkpoint/copies.ts";
import { halted } from "./hub_server.ts";
import { MODEL, TRANSFORMER, withHub } from "./with_hub.ts";

Deno.test("hubFetch() sends the token only to the hub, and errors say when one is needed", async () => {
  const models = { [MODEL]: { main: tinyCheckpoint("tiny-taesd") } };
  await withHub(async ({ server, resolve }) => {
    await assert.rejects(resolve(), { name: "HubError", code: "unauthorized", message: /terms .* HF_TOKEN/ });
    await assert.rejects(resolve(MODEL, { token: "wrong" }), {
      code: "unauthorized",
      message: /access token from the option token may not read it or has expired/,
    });
    server.requests.length = 0;
    await resolve(MODEL, { token: "secret" });
    const tokens = new Map(server.requests.map((request) => [request.server, request.authorization]));
    assert.deepEqual([...tokens], [["hub", "Bearer secret"], ["files", null]]);
  }, { models, token: "secret" });
});

Deno.test("withRetries() retries after server failures, and gives up eventually", async () => {
  await withHub(async ({ server, resolve }) => {
    let failures = 3;
    server.intercept = (file) =>
      file === TRANSFORMER && failures-- > 0 ? new Response("busy", { status: 503 }) : undefined;
    await resolve();
    assert.equal(server.requestsFor(TRANSFORMER).length, 4);
  });
  await withHub(async ({ server, resolve }) => {
    server.intercept = (file) =>
      file === "vae/config.json" ? new Response("busy", { status: 502 }) : undefined;
    await assert.rejects(resolve(MODEL, { tries: 2 }), {
      name: "HubError",
      code: "unreachable",
      message: /502/,
    });
    assert.equal(server.requestsFor("vae/config.json").length, 2);
  });
});

Deno.test("hubFetch() gives up stalled connections, and the download continues", async () => {
  await withHub(async ({ server, resolve }) => {
    let silent = true;
    server.intercept = (file, bytes) => {
      if (file !== TRANSFORMER || !silent) return undefined;
      silent = false;
      return halted(bytes, 50_000);
    };
    await resolve(MODEL, { stallTimeout: 300 });
    assert.deepEqual(server.requestsFor(TRANSFORMER).map(({ range }) => range), [null, "bytes=50000-"]);

    server.intercept = () => new Promise((answer) => setTimeout(() => answer(new Response("late")), 400));
    const late = resolve("org/tiny", { stallTimeout: 100, tries: 2, revision: "other" });
    await assert.rejects(late, { code: "unreachable", message: /the server sent nothing for 0.1 s/ });
  }, { models: { [MODEL]: { main: tinyCheckpoint("tiny-alpha-512"), other: tinyCheckpoint("tiny-lcm") } } });
});

Deno.test("hubFetch() stops a body at once, even after garbage collection, which Deno 2.9.6 alone does not ensure", async () => {
  const script = `
    import { hubFetch } from ${JSON.stringify(new URL("../../hub/hub_fetch.ts", import.meta.url).href)};
    const body = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) });
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response(body));
    const endpoint = "http://127.0.0.1:" + server.addr.port;
    const controller = new AbortController();
    const signal = AbortSignal.any([controller.signal, new AbortController().signal]);
    const context = { model: "a/b", revision: "main", stallTimeout: 20_000, signal };
    const reader = (await hubFetch({ endpoint }, context)(endpoint)).body.getReader();
    await reader.read();
    const rest = reader.read().then(() => "read", (error) => error.message);
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      gc();
    }
    const aborted = performance.now();
    controller.abort(new Error("enough"));
    console.log(await rest, performance.now() - aborted < 1000);
    Deno.exit();
  `;
  const args = ["eval", "--v8-flags=--expose-gc", script];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  assert.equal(new TextDecoder().decode(stdout), "enough true\n", new TextDecoder().decode(stderr));
});
