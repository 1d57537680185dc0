import assert from "node:assert/strict";
import { join } from "node:path";
import OpenAI from "openai";
import { artifactId, encodeArtifact } from "../../artifacts/artifact_file.ts";
import { tensor } from "../../artifacts/tensor.ts";
import { decodePicture } from "../../images/picture.ts";
import { S3_SERVERS, S3Server } from "../artifacts/store/s3_servers.ts";
import { inFolder } from "../cli/run_cli.ts";
import { needing } from "../needing.ts";
import { freePort, REDIS, RedisServer } from "../queue/queue_servers.ts";
import { WorkerProcess } from "../queue/worker_process.ts";
import { ROOT, ServerProcess } from "../server/server_process.ts";
import { sseEvents } from "../server/serving.ts";
import { WORKERD, Workerd } from "./workerd.ts";

const MODEL = "pixstage-emoji";
const LORA = "pixstage-emoji/chalk";
const KEYS = { API_KEY: "swordfish", UPSTREAM_KEY: "trout" };
const HEADERS = { authorization: `Bearer ${KEYS.API_KEY}` };
const JSON_HEADERS = { ...HEADERS, "content-type": "application/json" };
/** Cloudflare's memory limit of an isolate. */
const MOST_BYTES = 128e6;
const LARGE_BYTES = 100e6;

/** Builds the gateway into a folder. */
async function build(folder: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "examples/gateway/build.ts", "--out", join(folder, "worker.js")],
    cwd: ROOT,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

async function post(url: string, body: object): Promise<Response> {
  return await fetch(url, { method: "POST", headers: JSON_HEADERS, body: JSON.stringify(body) });
}

async function statusOf(url: string, headers: Record<string, string> = {}): Promise<number> {
  const { status, body } = await fetch(url, { headers });
  await body?.cancel();
  return status;
}

/** Requests that the gateway refuses without a server behind it. */
const REFUSED: [body: object, status: number, code: string, param: string | null][] = [
  [{ model: "nobody" }, 404, "model_not_found", "model"],
  [{ size: "99999x64" }, 400, "out_of_range", "size"],
  [{ size: "big" }, 400, "invalid_value", "size"],
  [{ n: 999 }, 400, "out_of_range", "n"],
  [{ steps: 0 }, 400, "invalid_value", "steps"],
  [{ scheduler: "nonsense" }, 400, "unknown_scheduler", "scheduler"],
  [{ guidance_interval: [0.6, 0.4] }, 400, "invalid_value", "guidance_interval"],
  [{ loras: [{ name: "/etc/passwd" }] }, 404, "adapter_not_found", "loras"],
  [{ prompt: "x".repeat(9000) }, 400, "out_of_range", "prompt"],
  [{ steps: 1, scheduler: "dpmsolver++" }, 400, "invalid_value", "steps"],
];

Deno.test(needing(
  WORKERD,
  needing(
    REDIS,
    needing(S3_SERVERS.rclone, {
      name:
        "a gateway in workerd plans and refuses runs itself, and streams pictures, events and artifacts in little memory",
      fn: (test) => inFolder((folder) => passes(test, folder)),
    }),
  ),
));

async function passes(test: Deno.TestContext, folder: string): Promise<void> {
  await using s3 = await S3Server.start("rclone");
  await using redis = await RedisServer.start();
  const store = `s3://pictures/gateway?endpoint=${encodeURIComponent(s3.endpoint)}&region=eu-central-1`;
  const { AWS_ACCESS_KEY_ID = "", AWS_SECRET_ACCESS_KEY = "" } = s3.env;
  const port = freePort();
  await build(folder);
  await using gateway = await Workerd.start({
    folder,
    module: "worker.js",
    variables: {
      ...KEYS,
      AWS_ACCESS_KEY_ID,
      AWS_SECRET_ACCESS_KEY,
      UPSTREAM: `http://127.0.0.1:${port}`,
      STORE: store,
    },
  });
  const images = `${gateway.url}/v1/images/generations`;

  await test.step("impossible requests are refused without a server behind the gateway", async () => {
    for (const [fields, status, code, param] of REFUSED) {
      const reply = await post(images, { model: MODEL, prompt: "cute cat", ...fields });
      const { error } = await reply.json();
      assert.deepEqual(
        [reply.status, error.code, error.param],
        [status, code, param],
        JSON.stringify(fields),
      );
    }
    const graph = { pixstage: 1, nodes: { a: { stage: "paint" } } };
    for (const [body, code] of [[{ graph }, "unknown_stage"], [{ request: {} }, "invalid_value"]] as const) {
      const reply = await post(`${gateway.url}/v1/jobs`, body);
      assert.deepEqual([reply.status, (await reply.json()).error.code], [400, code]);
    }
    const stranger = await fetch(images, { method: "POST", body: "{}" });
    assert.equal((await stranger.json()).error.code, "invalid_api_key");
    const good = await post(images, { model: MODEL, prompt: "cute cat", loras: [{ name: LORA }] });
    assert.deepEqual([good.status, (await good.json()).error.code], [503, "engine_closed"]);
    assert.equal(await statusOf(`${gateway.url}/studio`), 503);
    for (const path of ["/metrics", "/sdapi/v1/sd-models", "/mcp"]) {
      assert.equal(await statusOf(gateway.url + path), 401, path);
    }
    const models = await (await fetch(`${gateway.url}/v1/models`, { headers: HEADERS })).json();
    assert.deepEqual(models.data.map(({ id }: { id: string }) => id), [MODEL]);
  });

  await using _worker = await new WorkerProcess({
    queue: redis.address,
    store,
    stages: "encode,denoise,decode",
    env: s3.env,
  }).works();
  await using _server = await new ServerProcess({
    store,
    models: [MODEL],
    port,
    options: ["--queue", redis.address, "--jobs", join(folder, "jobs"), "--trust-proxy"],
    env: { ...s3.env, PIXSTAGE_API_KEY: KEYS.UPSTREAM_KEY },
  }).listens();

  await test.step("clients of the gateway can use the server's API, but not its metrics", async () => {
    for (const [path, status] of [["/metrics", 401], ["/sdapi/v1/sd-models", 200]] as const) {
      assert.equal(await statusOf(gateway.url + path), 401, path);
      assert.equal(await statusOf(gateway.url + path, HEADERS), status, path);
    }
  });

  await test.step("headers that only a proxy may set do not reach the server", async () => {
    const request = { model: MODEL, prompts: ["sun"], seeds: ["1"], steps: 2 };
    const headers = { ...JSON_HEADERS, "x-forwarded-prefix": "/evil", "x-forwarded-for": "6.6.6.6" };
    const init = { method: "POST", headers, body: JSON.stringify({ request }) };
    const job = await (await fetch(`${gateway.url}/v1/jobs`, init)).json();
    assert.equal(job.events_url, `/v1/jobs/${job.id}/events`);
  });

  await test.step("OpenAI's client gets pictures as bytes and as links to S3", async () => {
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEYS.API_KEY, maxRetries: 0 });
    const fields = { model: MODEL, prompt: "cute cat", seed: 3, steps: 2 };
    const { data } = await client.images.generate(fields);
    const bytes = Uint8Array.fromBase64(data![0]!.b64_json!);
    const { pixels, metadata } = await decodePicture(bytes);
    assert.deepEqual([pixels.width, pixels.height], [256, 256]);
    assert.match(metadata["parameters"]!, /^cute cat\nSteps: 2/);
    const linked = await client.images.generate({ ...fields, response_format: "url" });
    const link = linked.data![0]!.url!;
    assert.equal(new URL(link).origin, s3.endpoint);
    assert.deepEqual(await (await fetch(link)).bytes(), bytes);
  });

  await test.step("events pass through immediately", async () => {
    const body = { model: MODEL, prompt: "red car", steps: 4, stream: true, partial_images: 2 };
    const reply = await post(images, body);
    assert.equal(reply.headers.get("content-type"), "text/event-stream");
    const events = await Array.fromAsync(sseEvents(reply));
    const types = events.map(({ event }) => event);
    assert.deepEqual(types, [
      "image_generation.partial_image",
      "image_generation.partial_image",
      "image_generation.completed",
    ]);
    const order = { request: { model: MODEL, prompts: ["sun"], seeds: ["1"], steps: 2 } };
    const job = await (await post(`${gateway.url}/v1/jobs`, order)).json();
    const told = await fetch(`${gateway.url}${job.events_url}`, { headers: HEADERS });
    const last = (await Array.fromAsync(sseEvents(told))).at(-1)!;
    assert.equal(last.event, "done");
    const over = await (await fetch(`${gateway.url}/v1/jobs/${job.id}`, { headers: HEADERS })).json();
    assert.equal(over.status, "completed");
    const picture = await fetch(`${gateway.url}${over.images[0].url}`, { headers: HEADERS });
    assert.equal(picture.headers.get("content-type"), "image/png");
    await picture.body?.cancel();
  });

  await test.step("a client that leaves a stream stops its job", async () => {
    const body = {
      model: MODEL,
      prompt: "rocket",
      steps: 120,
      size: "512x512",
      stream: true,
      partial_images: 3,
    };
    const reply = await post(images, body);
    for await (const { event } of sseEvents(reply)) {
      assert.equal(event, "image_generation.partial_image");
      break;
    }
    const newest = async (): Promise<string> => {
      const list = await fetch(`${gateway.url}/v1/jobs?limit=1`, { headers: HEADERS });
      return (await list.json()).data[0].status;
    };
    for (let tries = 0; tries < 100 && await newest() === "running"; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal(await newest(), "cancelled");
  });

  await test.step("a picture of 1024 pixels and an artifact of 100 MB pass through, and the isolate stays small", async () => {
    const before = await gateway.residentMemory();
    const large = await post(images, { model: MODEL, prompt: "sun", size: "1024x1024", steps: 2 });
    const [{ b64_json }] = (await large.json()).data;
    assert.equal((await decodePicture(Uint8Array.fromBase64(b64_json))).pixels.width, 1024);

    const values = new Float32Array(LARGE_BYTES / 4).map((_, index) => index);
    const bytes = encodeArtifact({
      kind: "latents",
      tensors: { latents: tensor("float32", [1, 4, 2500, 2500], values) },
      metadata: {},
    });
    const id = await artifactId(bytes);
    const url = `${gateway.url}/v1/artifacts/${id}`;
    const put = (body: Uint8Array<ArrayBuffer>, to = url) =>
      fetch(to, { method: "PUT", headers: HEADERS, body });
    assert.equal((await put(bytes)).status, 201);
    assert.equal((await put(bytes)).status, 200);
    const got = await fetch(url, { headers: HEADERS });
    assert.equal(await artifactId(await got.bytes()), id);
    const range = await fetch(url, { headers: { ...HEADERS, range: "bytes=8-107" } });
    assert.deepEqual(await range.bytes(), bytes.slice(8, 108));
    const head = await fetch(url, { method: "HEAD", headers: HEADERS });
    assert.equal(head.headers.get("content-length"), String(bytes.length));

    const other = bytes.slice(0, 5000);
    const wrong = await put(other, `${gateway.url}/v1/artifacts/${"0".repeat(64)}`);
    assert.equal((await wrong.json()).error.code, "hash_mismatch");
    const noArtifact = await put(other, `${gateway.url}/v1/artifacts/${await artifactId(other)}`);
    assert.equal((await noArtifact.json()).error.code, "not_safetensors");
    for (const absent of ["0".repeat(64), await artifactId(other)]) {
      const reply = await fetch(`${gateway.url}/v1/artifacts/${absent}`, { headers: HEADERS });
      assert.equal((await reply.json()).error.code, "artifact_not_found");
    }

    const { usedSize, backingStorageSize } = await gateway.heap();
    const after = await gateway.residentMemory();
    const grown = after.peak - before.now;
    const figures = JSON.stringify({ before, after, usedSize, backingStorageSize });
    assert.ok(usedSize + backingStorageSize < MOST_BYTES, figures);
    assert.ok(grown < LARGE_BYTES, figures);
  });
}
