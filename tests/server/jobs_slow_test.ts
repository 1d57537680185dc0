import assert from "node:assert/strict";
import { createClient } from "../../client.ts";
import { type RunEvent, runEventSchema } from "../../graph/events.ts";
import { goldenPath } from "../goldens.ts";
import { MODELS, type Serving, serving, sseEvents } from "./serving.ts";

interface Reply {
  readonly id: string;
  readonly status: string;
  readonly created: number;
  readonly started: number | null;
  readonly completed: number | null;
  readonly images: { url: string; seed: string }[];
  readonly artifacts: Record<string, { id: string }>;
  readonly queue_position: number | null;
  readonly error: { message: string } | null;
}

const SMALL = { model: "tiny", width: 64, height: 64, steps: 4, guidanceScale: 2 };
const LONG = { ...SMALL, width: 512, height: 512, steps: 150 };

async function order(server: Serving, request: object, headers = {}): Promise<Reply> {
  const reply = await server.post("/v1/jobs", { request }, headers);
  const body = await reply.json();
  assert.equal(reply.status, 202, JSON.stringify(body));
  return body;
}

async function follow(server: Serving, id: string, after = "0"): Promise<{ id: number; event: RunEvent }[]> {
  const reply = await server.ask(`/v1/jobs/${id}/events`, { headers: { "last-event-id": after } });
  const events = [];
  for await (const { id, event, data } of sseEvents(reply)) {
    const parsed = runEventSchema.parse(JSON.parse(data));
    assert.equal(parsed.type, event);
    events.push({ id: Number(id), event: parsed });
  }
  return events;
}

async function job(server: Serving, id: string): Promise<Reply> {
  return await (await server.ask(`/v1/jobs/${id}`)).json();
}

Deno.test("a job's events can be streamed repeatedly and from any event on", async () => {
  await using server = await serving({ heartbeatMs: 20 });
  const { id } = await order(server, { ...SMALL, prompts: ["cute cat"], seeds: [1] });
  const events = await follow(server, id);
  const types = events.map(({ event }) => event.type);
  assert.equal(types.filter((type) => type === "step").length, 2 + 4 + 1);
  assert.equal(types.filter((type) => type === "preview").length, 4);
  assert.equal(types.at(-1), "done");
  assert.deepEqual(events.map(({ id }) => id), Array.from(events, (_, index) => index + 1));

  const over = await job(server, id);
  assert.equal(over.status, "completed");
  assert.equal(over.images.length, 1);
  const picture = await server.ask(over.images[0]!.url);
  assert.equal(picture.headers.get("content-type"), "image/png");
  await picture.bytes();
  const thumbnail = await server.ask(`${over.images[0]!.url}?format=webp&thumbnail=16`);
  assert.equal(thumbnail.headers.get("content-type"), "image/webp");
  await thumbnail.bytes();

  const later = await follow(server, id, "5");
  assert.deepEqual(
    later,
    events.filter(({ id, event }) => id > 5 && event.type !== "preview"),
    "previews disappear when the picture appears",
  );
});

Deno.test("waiting and running jobs can be cancelled, and custom graphs run", async () => {
  await using server = await serving();
  const running = await order(server, { ...LONG, prompts: ["first"] });
  const waiting = await order(server, { ...LONG, prompts: ["second"] });
  assert.equal(waiting.queue_position, 0);
  const stream = await server.ask(`/v1/jobs/${running.id}/events`);
  const started = performance.now();
  for await (const { event } of sseEvents(stream)) {
    if (event === "preview") await server.post(`/v1/jobs/${running.id}/cancel`, {});
    if (event === "cancelled") break;
  }
  assert.equal((await job(server, running.id)).status, "cancelled");
  assert(performance.now() - started < 20_000);
  await server.post(`/v1/jobs/${waiting.id}/cancel`, {});
  assert.equal((await job(server, waiting.id)).status, "cancelled");
  assert.equal((await server.post(`/v1/jobs/${waiting.id}/cancel`, {})).status, 409);
  assert.equal((await server.post(`/v1/jobs/job_${"0".repeat(32)}/cancel`, {})).status, 404);

  const { id } = await order(server, { ...SMALL, prompts: ["cat"] });
  await follow(server, id);
  const { artifacts } = await job(server, id);
  const graph = {
    pixstage: 1,
    nodes: {
      decode: {
        stage: "decode",
        parameters: { model: "tiny" },
        inputs: { latents: { artifact: artifacts["denoise.latents"]!.id } },
      },
    },
  };
  const again = await (await server.post("/v1/jobs", { graph })).json();
  const events = await follow(server, again.id);
  assert(events.some(({ event }) => event.type === "stage:cached"), "what was decoded is not decoded again");
  assert.equal((await job(server, again.id)).artifacts["decode.image"]!.id, artifacts["decode.image"]!.id);
});

Deno.test("durations do not depend on the wall clock, which may be set back during a job", async () => {
  await using server = await serving();
  const { now } = Date;
  try {
    const { id } = await order(server, { ...LONG, prompts: ["a castle"] });
    const reply = await server.ask(`/v1/jobs/${id}/events`);
    const durations: number[] = [];
    for await (const { event, data } of sseEvents(reply)) {
      durations.push(runEventSchema.parse(JSON.parse(data)).elapsedMs);
      if (event !== "step" || Date.now !== now) continue;
      Date.now = () => now() - 3_600_000;
      await server.post(`/v1/jobs/${id}/cancel`, {});
    }
    const { status, created, started, completed } = await job(server, id);
    assert.equal(status, "cancelled");
    assert.ok(created <= started! && started! <= completed!, `${created}, ${started}, ${completed}`);
    assert.deepEqual(durations, durations.toSorted((a, b) => a - b));
    assert.ok(durations.every((ms) => ms >= 0 && ms < 600_000), durations.join());
  } finally {
    Date.now = now;
  }
});

Deno.test("a separate transformer is served under its name", async () => {
  const alone = { name: "other", reference: goldenPath("checkpoints/tiny-alpha-512/transformer") };
  await using server = await serving({ models: [...MODELS, alone] });
  const { transformers } = await (await server.ask("/v1/capabilities")).json();
  assert.deepEqual(transformers, ["tiny", "tiny-sigma", "other"]);
  const { id } = await order(server, { ...SMALL, prompts: ["cat"], transformer: "other" });
  await follow(server, id);
  assert.equal((await job(server, id)).status, "completed");
  // It is listed neither as a checkpoint nor as an autoencoder.
  const node = (stage: string) => ({ stage, parameters: { model: "other" }, inputs: {} });
  const refused: [string, object][] = [
    ["/v1/jobs", { request: { ...SMALL, prompts: ["cat"], vae: "other" } }],
    ["/v1/jobs", { request: { ...SMALL, prompts: ["cat"], model: "other" } }],
    ["/v1/jobs", { graph: { pixstage: 1, nodes: { text: node("encode") } } }],
    ["/v1/stages/encode", { parameters: { model: "other", prompts: ["cat"] } }],
    ["/v1/stages/encode/prepare", { parameters: { model: "other", prompts: ["cat"] } }],
    ["/v1/stages/decode/prepare", { parameters: { model: "other" } }],
  ];
  for (const [path, body] of refused) {
    const reply = await server.post(path, body);
    assert.equal(reply.status, 404, `${path} ${JSON.stringify(body)}`);
    assert.equal((await reply.json()).error.code, "model_not_found");
  }
});

Deno.test("nothing in a graph reaches beyond the server", async () => {
  await using server = await serving();
  const decode = (node: object) => ({
    graph: { pixstage: 1, nodes: { decode: { stage: "decode", parameters: { model: "tiny" }, ...node } } },
  });
  const latents = { artifact: "0".repeat(64) };
  const refused: [object, number, string][] = [
    [decode({ inputs: { latents: { file: "/etc/passwd" } } }), 400, "file_not_allowed"],
    [decode({ inputs: { latents }, executor: "http://127.0.0.1:1" }), 400, "executor_not_allowed"],
    [decode({ inputs: { latents }, parameters: { model: "/etc" } }), 404, "model_not_found"],
    [
      { graph: { ...decode({ inputs: { latents } }).graph, plugins: ["https://evil.example/x.ts"] } },
      400,
      "",
    ],
    [{ request: { ...SMALL, prompts: ["x"], vae: "../.." } }, 404, "model_not_found"],
    [{ request: { ...SMALL, prompts: ["x"], transformer: "/etc" } }, 404, "model_not_found"],
    [{ request: { ...SMALL, prompts: ["x"], steps: 1e6 } }, 400, "out_of_range"],
    [{ request: { ...SMALL, prompts: ["x"], width: 1e6 } }, 400, "out_of_range"],
    [{ request: { ...SMALL, prompts: Array(1000).fill("x") } }, 400, "out_of_range"],
    [{ request: { ...SMALL, prompts: ["x"], seeds: ["9".repeat(5000)] } }, 400, "invalid_value"],
    [{ request: { ...SMALL, prompts: ["x"] }, graph: decode({}).graph }, 400, "invalid_value"],
    [{}, 400, "invalid_value"],
  ];
  for (const [body, status, code] of refused) {
    const reply = await server.post("/v1/jobs", body);
    const { error } = await reply.json();
    assert.equal(reply.status, status, `${JSON.stringify(body)}: ${error.message}`);
    if (code !== "") assert.equal(error.code, code, error.message);
  }
  assert.deepEqual((await (await server.ask("/v1/jobs")).json()).data, []);
});

Deno.test("a full queue says when to retry, clients take turns, and equal jobs run once", async () => {
  await using server = await serving({ limits: { maxQueue: 4, maxQueuePerAddress: 4 } });
  const first = await order(server, { ...LONG, prompts: ["0"] });
  const from = (client: string, prompt: string) =>
    order(server, { ...SMALL, prompts: [prompt] }, { "x-client-id": client });
  const [a1, a2] = [await from("a", "1"), await from("a", "2")];
  const b1 = await from("b", "3");
  assert.deepEqual(
    await Promise.all([a1, b1, a2].map(async ({ id }) => (await job(server, id)).queue_position)),
    [0, 1, 2],
    "in turn",
  );
  const twin = await from("b", "1");
  const full = await server.post("/v1/jobs", { request: { ...SMALL, prompts: ["5"] } });
  assert.equal(full.status, 429);
  assert(Number(full.headers.get("retry-after")) >= 1);
  assert.equal((await full.json()).error.code, "queue_full");
  const openai = await server.post("/v1/images/generations", { prompt: "x", ...SMALL, size: "64x64" });
  assert.equal(openai.status, 429);
  await openai.body?.cancel();

  await server.post(`/v1/jobs/${first.id}/cancel`, {});
  const [events, twins] = await Promise.all([follow(server, a1.id), follow(server, twin.id)]);
  const timeless = (list: typeof events) =>
    list.map(({ event }) => event).filter(({ type }) => type !== "preview");
  assert.deepEqual(timeless(twins), timeless(events), "one run, reported twice");
  await follow(server, b1.id);
  await follow(server, a2.id);

  const pages: string[] = [];
  for (let after = "";;) {
    const page = await (await server.ask(`/v1/jobs?limit=2${after}`)).json();
    pages.push(...page.data.map(({ id }: Reply) => id));
    if (!page.has_more) break;
    after = `&after=${pages.at(-1)}`;
  }
  assert.deepEqual(pages, [twin, b1, a2, a1, first].map(({ id }) => id));
});

Deno.test("jobs and pictures outlive the server, and unfinished jobs continue", async () => {
  const store = await Deno.makeTempDir();
  try {
    let done: Reply, open: Reply;
    {
      await using server = await serving({ store });
      done = await order(server, { ...SMALL, prompts: ["done"] });
      await follow(server, done.id);
      done = await job(server, done.id);
      open = await order(server, { ...SMALL, steps: 60, prompts: ["open"] });
      for await (const { event } of sseEvents(await server.ask(`/v1/jobs/${open.id}/events`))) {
        if (event === "preview") break;
      }
      await assert.rejects(serving({ store }), /another server/);
    }
    await using server = await serving({ store });
    assert.deepEqual(await job(server, done.id), done);
    assert.equal((await server.ask(done.images[0]!.url)).status, 200);
    const events = await follow(server, open.id);
    assert.equal(events.at(-1)!.event.type, "done");
    assert.equal((await job(server, open.id)).status, "completed");
  } finally {
    await Deno.remove(store, { recursive: true });
  }
});

Deno.test("the typed client matches the server's paths and types", async () => {
  await using server = await serving();
  const client = createClient(server.url);
  const models = await (await client.v1.models.$get()).json();
  assert("data" in models && models.data[0]!.id === "tiny");
  const reply = await client.v1.jobs.$post({
    json: { request: { model: "tiny", prompts: ["cat"], steps: 2, width: 64, height: 64 } },
  });
  assert.equal(reply.status, 202);
  const { id } = (await reply.json()) as { id: string };
  await follow(server, id);
  const over = await client.v1.jobs[":id"].$get({ param: { id } });
  assert(over.ok && (await over.json() as { status: string }).status === "completed");
});
