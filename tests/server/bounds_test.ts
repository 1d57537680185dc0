import assert from "node:assert/strict";
import { DEFAULT_LIMITS, limitsWith } from "../../server/limits.ts";
import { type Serving, serving, sseEvents } from "./serving.ts";

/** A valid request for the tiny model. */
const SMALL = { model: "tiny", prompts: ["cat"], steps: 2, width: 64, height: 64, resolutionBinning: false };

/** A job that occupies the only slot during a test. */
const LONG = { ...SMALL, steps: 150, width: 256, height: 256, prompts: ["long"] };

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly param: string | null;
}

async function refusalOf(reply: Response): Promise<Refusal> {
  const { error } = await reply.json();
  return { status: reply.status, code: error.code, param: error.param };
}

/** Sends a request at the limit, which must be accepted, and one beyond it, which must be refused. */
async function atTheEdge(
  server: Serving,
  [most, tooMuch]: readonly [object, object],
  expected: Refusal,
): Promise<void> {
  const taken = await server.post("/v1/jobs", most);
  const reply = await taken.json();
  assert.equal(taken.status, 202, JSON.stringify(reply));
  await server.post(`/v1/jobs/${reply.id}/cancel`, {}).then((cancelled) => cancelled.body?.cancel());
  assert.deepEqual(await refusalOf(await server.post("/v1/jobs", tooMuch)), expected);
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

/** Well-formed requests that are refused later, because no scheduler has this option. */
const deep = (levels: number) => ({ request: { ...SMALL, schedulerOptions: { note: nested(levels) } } });
const many = (values: number) => ({
  request: { ...SMALL, schedulerOptions: { note: Array(values).fill(1) } },
});

/** Returns a graph of encode nodes. */
const encodes = (nodes: number) => ({
  graph: {
    pixstage: 1,
    nodes: Object.fromEntries(
      Array.from({ length: nodes }, (_, node) => [
        `n${node}`,
        { stage: "encode", parameters: { model: "tiny", prompts: [`cat ${node}`] } },
      ]),
    ),
  },
});

Deno.test("GET /v1/capabilities shows every limit", async () => {
  await using server = await serving({ limits: { maxNodes: 7 } });
  const { limits } = await (await server.ask("/v1/capabilities")).json();
  assert.deepEqual(limits, { ...DEFAULT_LIMITS, maxNodes: 7 });
  assert(Object.values(limits).every((bound) => Number.isSafeInteger(bound)));
});

Deno.test("the queue's shares depend on its length", () => {
  const shares = (
    { maxQueue, maxQueuePerAddress, maxQueuePerClient }: typeof DEFAULT_LIMITS,
  ) => [maxQueue, maxQueuePerAddress, maxQueuePerClient];
  assert.deepEqual(shares(limitsWith()), shares(DEFAULT_LIMITS));
  assert.deepEqual(shares(limitsWith({ maxQueue: 8 })), [8, 6, 4]);
  assert.deepEqual(shares(limitsWith({ maxQueue: 1 })), [1, 1, 1]);
  assert.deepEqual(shares(limitsWith({ maxQueue: 8, maxQueuePerClient: 8 })), [8, 6, 8]);
});

Deno.test("a request at each limit is accepted, and one more is refused with its code and field", async () => {
  const refused = (param: string, code = "out_of_range", status = 400): Refusal => ({ status, code, param });
  await using server = await serving({
    limits: {
      maxJsonDepth: 8,
      maxJsonValues: 60,
      maxNodes: 4,
      maxSteps: 10,
      maxImages: 4,
      maxPixels: 2 * 64 * 64,
      maxSize: 128,
      minSize: 32,
      maxPromptLength: 20,
      maxSequenceLength: 130,
      maxJobSeconds: 100,
      maxTrainTimesteps: 500,
    },
  });
  const request = (fields: object) => ({ request: { ...SMALL, ...fields } });
  // The body, the request, its options and the list's own levels.
  const filled = 1 + JSON.stringify(many(1)).match(/[,[{]/g)!.length;
  for (
    const [most, tooMuch] of [[deep(5), deep(6)], [many(61 - filled), many(62 - filled)]] as const
  ) {
    const { code } = await refusalOf(await server.post("/v1/jobs", most));
    assert.equal(code, "invalid_scheduler_option", "beyond the bounds of the text");
    assert.deepEqual(
      await refusalOf(await server.post("/v1/jobs", tooMuch)),
      refused("request.schedulerOptions.note", "too_large", 413),
    );
  }
  await atTheEdge(server, [encodes(4), encodes(5)], refused("graph.nodes"));
  await atTheEdge(server, [request({ steps: 10 }), request({ steps: 11 })], refused("request.steps"));
  await atTheEdge(
    server,
    [request({ width: 32 }), request({ width: 24 })],
    refused("request.width"),
  );
  await atTheEdge(
    server,
    [request({ width: 128 }), request({ width: 136 })],
    refused("request.width"),
  );
  await atTheEdge(
    server,
    [request({ imagesPerPrompt: 2 }), request({ imagesPerPrompt: 3 })],
    refused("request.width"),
  );
  await atTheEdge(
    server,
    [
      request({ width: 32, height: 64, imagesPerPrompt: 4 }),
      request({ width: 32, height: 32, imagesPerPrompt: 5 }),
    ],
    refused("request.imagesPerPrompt"),
  );
  await atTheEdge(
    server,
    [request({ prompts: ["x".repeat(20)] }), request({ prompts: ["x".repeat(21)] })],
    refused("request.prompts"),
  );
  await atTheEdge(
    server,
    [request({ maxSequenceLength: 130 }), request({ maxSequenceLength: 131 })],
    refused("request.maxSequenceLength"),
  );
  await atTheEdge(
    server,
    [{ ...request({}), deadline: 100 }, { ...request({}), deadline: 101 }],
    refused("deadline"),
  );
  const trained = (steps: number) =>
    request({ scheduler: "ddim", schedulerOptions: { num_train_timesteps: steps } });
  await atTheEdge(
    server,
    [trained(500), trained(501)],
    refused("request.schedulerOptions.num_train_timesteps"),
  );
});

Deno.test("a body of the maximum size is read, and one more byte is refused", async () => {
  const body = JSON.stringify({ request: { ...SMALL, steps: 0 } });
  await using server = await serving({ limits: { maxBodyBytes: body.length } });
  const send = (body: string) =>
    server.ask("/v1/jobs", { method: "POST", headers: { "content-type": "application/json" }, body });
  assert.equal((await refusalOf(await send(body))).param, "request.steps");
  assert.deepEqual(await refusalOf(await send(`${body} `)), { status: 413, code: "too_large", param: null });
});

Deno.test("the numbers of kept jobs and of jobs per page are limited", async () => {
  await using server = await serving({ limits: { keptJobs: 3, maxPage: 2 } });
  for (let index = 0; index < 4; index++) {
    const { id } = await (await server.post("/v1/jobs", { request: { ...SMALL, seeds: [index] } })).json();
    for await (const { event } of sseEvents(await server.ask(`/v1/jobs/${id}/events`))) void event;
  }
  const page = await (await server.ask("/v1/jobs?limit=100")).json();
  assert.deepEqual([page.data.length, page.has_more], [2, true]);
  const rest = await (await server.ask(`/v1/jobs?limit=100&after=${page.data[1].id}`)).json();
  assert.deepEqual([rest.data.length, rest.has_more], [1, false]);
});

Deno.test("the pictures of a whole graph are limited, even if each node is within the limits", async () => {
  await using server = await serving({ limits: { maxImages: 4, maxPixels: 4 * 64 * 64 } });
  const graph = (prompts: number, perPrompt: number, side: number) => ({
    graph: {
      pixstage: 1,
      nodes: {
        text: {
          stage: "encode",
          parameters: {
            model: "tiny",
            prompts: Array.from({ length: prompts }, (_, index) => `cat ${index}`),
          },
        },
        denoise: {
          stage: "denoise",
          parameters: {
            model: "tiny",
            steps: 2,
            guidanceScale: 1,
            width: side,
            height: side,
            imagesPerPrompt: perPrompt,
          },
          inputs: { embeddings: "text.embeddings" },
        },
      },
    },
  });
  const refused = { status: 400, code: "out_of_range", param: "graph" };
  await atTheEdge(server, [graph(2, 2, 64), graph(2, 3, 48)], refused);
  await atTheEdge(server, [graph(4, 1, 64), graph(4, 1, 72)], refused);
});

Deno.test("a page of large jobs is shorter than requested, and all pages together contain all jobs", async () => {
  await using server = await serving();
  const ordered: string[] = [];
  for (let index = 0; index < 5; index++) {
    const { graph } = encodes(1);
    const reply = await server.post("/v1/jobs", {
      graph: { ...graph, description: `${index}`.repeat(200_000) },
    });
    assert.equal(reply.status, 202);
    ordered.unshift((await reply.json()).id);
  }
  const pages: string[][] = [];
  for (let after = "";; after = `?after=${pages.at(-1)!.at(-1)}`) {
    const { data, has_more } = await (await server.ask(`/v1/jobs${after}`)).json();
    pages.push(data.map(({ id }: { id: string }) => id));
    if (!has_more) break;
  }
  assert.deepEqual(pages.map(({ length }) => length), [2, 2, 1]);
  assert.deepEqual(pages.flat(), ordered);
});

Deno.test("bodies nested deeper than any schema and the name __proto__ are refused before they are parsed", async () => {
  await using server = await serving();
  const send = (path: string, body: string) =>
    server.ask(path, { method: "POST", headers: { "content-type": "application/json" }, body });
  const levels = "[".repeat(5000) + "]".repeat(5000);
  const bodies: [string, string, Refusal][] = [
    [
      "/v1/jobs",
      `{"request":{"model":"tiny","prompts":["cat"],"schedulerOptions":{"a":${levels}}}}`,
      { status: 413, code: "too_large", param: "request.schedulerOptions.a" },
    ],
    [
      "/v1/stages/encode",
      `{"parameters":{"prompts":${levels}}}`,
      { status: 413, code: "too_large", param: "parameters.prompts" },
    ],
    ["/v1/images/generations", levels, { status: 413, code: "too_large", param: null }],
    ["/v1/images/generations", "[".repeat(5000), { status: 413, code: "too_large", param: null }],
    [
      "/v1/jobs",
      `{"graph":{"pixstage":1,"nodes":{"__proto__":{"stage":"encode"}}}}`,
      { status: 400, code: "invalid_value", param: "graph.nodes.__proto__" },
    ],
    [
      "/v1/images/generations",
      String.raw`{"prompt":"cat","\u005f_proto__":1}`,
      { status: 400, code: "invalid_value", param: String.raw`\u005f_proto__` },
    ],
  ];
  for (const [path, body, expected] of bodies) {
    assert.deepEqual(await refusalOf(await send(path, body)), expected, body.slice(0, 100));
  }
});

Deno.test("each client and address has a share of the queue, and a full queue refuses a request before checking it", async () => {
  await using server = await serving({
    limits: { maxQueue: 6, maxQueuePerAddress: 4, maxQueuePerClient: 2 },
  });
  const first = await server.post("/v1/jobs", { request: LONG });
  assert.equal(first.status, 202);
  const { id } = await first.json();
  const order = async (client: string, prompt: string): Promise<[number, string]> => {
    const reply = await server.post("/v1/jobs", { request: { ...SMALL, prompts: [prompt] } }, {
      "x-client-id": client,
    });
    return [reply.status, (await reply.json()).error?.message ?? ""];
  };
  while ((await (await server.ask(`/v1/jobs/${id}`)).json()).status !== "running");
  assert.equal((await order("a", "1"))[0], 202);
  assert.equal((await order("a", "2"))[0], 202);
  const [status, message] = await order("a", "3");
  assert.equal(status, 429);
  assert.match(message, /2 jobs of this client are already waiting/);
  assert.equal((await order("b", "4"))[0], 202);
  assert.equal((await order("c", "5"))[0], 202);
  // The address has used its share, whatever name the client gives.
  assert.match((await order("d", "6"))[1], /4 jobs of this address are already waiting/);
  // An invalid graph is not checked.
  const graph = { pixstage: 1, nodes: { text: { stage: "encode", parameters: { model: "nope" } } } };
  assert.equal((await server.post("/v1/jobs", { graph }, { "x-client-id": "e" })).status, 429);
  const openai = await server.post("/v1/images/generations", { prompt: "x", model: "tiny", user: "f" });
  assert.equal(openai.status, 429);
  assert.equal((await server.post("/v1/stages/encode", { parameters: { model: "nope" } })).status, 429);
});

Deno.test("an order that cannot be checked in time gets 503, and takes no place in the queue", async () => {
  await using server = await serving({ limits: { maxCheckSeconds: 0, maxQueue: 2 } });
  for (let order = 0; order < 3; order++) {
    for (
      const [path, body] of [
        ["/v1/jobs", { request: { ...SMALL, prompts: [`${order}`] } }],
        ["/v1/images/generations", { model: "tiny", prompt: `${order}` }],
      ] as const
    ) {
      const reply = await server.post(path, body);
      assert.equal(reply.headers.get("retry-after"), "10");
      assert.deepEqual(await refusalOf(reply), { status: 503, code: "overloaded", param: null });
    }
  }
});
