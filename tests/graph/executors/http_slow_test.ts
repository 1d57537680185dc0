import assert from "node:assert/strict";
import { HttpStore } from "../../../artifacts/store/http_store.ts";
import { tensor } from "../../../artifacts/tensor.ts";
import { PixstageError } from "../../../errors/pixstage_error.ts";
import type { GraphDocumentInput } from "../../../graph/document.ts";
import type { RunEvent } from "../../../graph/events.ts";
import { HttpExecutor, type HttpExecutorOptions } from "../../../graph/executors/http.ts";
import { runGraph } from "../../../graph/run.ts";
import type { SnapshotPolicy } from "../../../graph/snapshots.ts";
import { builtInStages } from "../../../stages/mod.ts";
import { type Serving, serving } from "../../server/serving.ts";

const graph = {
  pixstage: 1 as const,
  nodes: { text: { stage: "encode", parameters: { model: "tiny", prompts: ["cute cat"] } } },
};

/**
 * A proxy in front of a server. It returns its own answer to a request, or `undefined` to let the server
 * answer.
 */
type Front = (request: Request, path: string) => Response | undefined | Promise<Response | undefined>;

/** Runs the graph through a proxy in front of a server. Returns its events, or throws. */
async function runThrough(
  server: Serving,
  front: Front,
  options: HttpExecutorOptions = {},
  document: GraphDocumentInput = graph,
  snapshots: SnapshotPolicy | false = false,
): Promise<RunEvent[]> {
  const stop = new AbortController();
  const listener = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: stop.signal, onListen() {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      const answer = await front(request, pathname);
      if (answer) return answer;
      const body = request.body ? await request.bytes() : null;
      return await fetch(server.url + pathname, { method: request.method, headers: request.headers, body });
    },
  );
  const events: RunEvent[] = [];
  const executor = new HttpExecutor(`http://127.0.0.1:${listener.addr.port}`, {
    silenceMs: 5000,
    ...options,
  });
  try {
    const onEvent = (event: RunEvent): void => void events.push(event);
    await runGraph(document, { registry: builtInStages(), executors: [executor], snapshots, onEvent });
  } finally {
    stop.abort();
    await listener.finished;
  }
  return events;
}

const HTML = { "content-type": "text/html; charset=utf-8" };
const EVENTS = { "content-type": "text/event-stream" };
const PREPARE = "/v1/stages/encode/prepare";
const RUN = "/v1/stages/encode";

/** Answers the first requests to a path. */
function firstly(times: number, path: string, answer: () => Response | Promise<Response>): Front {
  let seen = 0;
  return (_, asked) => asked === path && seen++ < times ? answer() : undefined;
}

/** Returns a body that starts and then becomes silent. */
function silentBody(start: string): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode(start)) });
}

function never(signal: AbortSignal): Promise<Response> {
  const { promise, resolve } = Promise.withResolvers<Response>();
  signal.addEventListener("abort", () => resolve(new Response()));
  return promise;
}

async function failure(running: Promise<unknown>): Promise<PixstageError> {
  const error = await running.then(() => undefined, (error) => error);
  assert.ok(error instanceof PixstageError, String(error));
  return error;
}

Deno.test("a server that accepts connections but never answers is retried, reported and given up", async () => {
  await using server = await serving();
  const isPath = (path: string, prefix: string): boolean =>
    prefix.endsWith("/") ? path.startsWith(prefix) : path === prefix;
  for (const silent of [PREPARE, RUN, "/v1/artifacts/"]) {
    const told: string[] = [];
    let asked = 0;
    const front: Front = (request, path) => {
      if (!isPath(path, silent)) return undefined;
      asked++;
      return never(request.signal);
    };
    const options = { silenceMs: 3000, tries: 2, onRetry: (message: string) => told.push(message) };
    const error = await failure(runThrough(server, front, options));
    assert.deepEqual([error.code, error.fault], ["unreachable", "environment"], silent);
    assert.match(error.message, /the server sent nothing for [\d.]+ s; is its server running\?/);
    assert.equal(asked, 2, silent);
    assert.match(
      told.at(-1) ?? "",
      /^127\.0\.0\.1:\d+ does not answer: the server sent nothing for [\d.]+ s\. Trying again \(2 of 2\)$/,
    );
  }
  // Once the server answers again, the run continues, and the stage warns about the failure.
  const once = firstly(1, PREPARE, () => Promise.race([new Promise<Response>(() => {})]));
  const events = await runThrough(server, once, { silenceMs: 1500 });
  assert.ok(events.some((event) => event.type === "warning" && /does not answer/.test(event.message)));
  assert.equal(events.at(-1)?.type, "done");
});

Deno.test("a body that stalls counts as interrupted", async () => {
  await using server = await serving();
  const stream: Front = (_, path) =>
    path === RUN ? new Response(silentBody(": alive\n\n"), { headers: EVENTS }) : undefined;
  assert.match((await failure(runThrough(server, stream, { silenceMs: 1500 }))).message, /broke off/);
  const artifact: Front = (request, path) =>
    path.startsWith("/v1/artifacts/") && request.method === "GET"
      ? new Response(silentBody("half"))
      : undefined;
  const error = await failure(runThrough(server, artifact, { silenceMs: 1500 }));
  assert.match(error.message, /Cannot read .*: the server sent nothing for 1\.5 s/);
});

Deno.test("a snapshot that cannot be fetched causes a warning, and the run continues", async () => {
  await using server = await serving();
  const snapshots = new Set<string>();
  const front: Front = async (request, path) => {
    if (snapshots.has(path)) return new Response(null, { status: 500 });
    if (path !== "/v1/stages/denoise") return undefined;
    const answer = await fetch(server.url + path, {
      method: "POST",
      headers: request.headers,
      body: await request.bytes(),
    });
    // The test sees the ids of snapshots before the executor asks for them.
    const events = answer.body!.pipeThrough(new TextDecoderStream()).pipeThrough(
      new TransformStream<string, string>({
        transform(text, controller) {
          for (const [, id] of text.matchAll(/"checkpoint","id":"(\w+)"/g)) {
            snapshots.add(`/v1/artifacts/${id}`);
          }
          controller.enqueue(text);
        },
      }),
    );
    return new Response(events.pipeThrough(new TextEncoderStream()), answer);
  };
  const parameters = { model: "tiny", width: 64, height: 64, steps: 4, guidanceScale: 1 };
  const picture = {
    pixstage: 1 as const,
    nodes: {
      ...graph.nodes,
      latents: {
        stage: "denoise",
        parameters,
        inputs: { embeddings: "text.embeddings" },
      },
    },
  };
  const events = await runThrough(server, front, {}, picture, { everySteps: 1 });
  assert.ok(snapshots.size > 0);
  assert.ok(
    events.some((event) => event.type === "warning" && /^A snapshot was not kept/.test(event.message)),
  );
  assert.equal(events.at(-1)?.type, "done");
});

Deno.test("a busy server is asked again after the requested delay, not sooner", async () => {
  await using server = await serving();
  const waits = [
    () => "1",
    () => new Date(Date.now() + 2000).toUTCString(),
  ];
  for (const path of [PREPARE, RUN]) {
    for (const wait of waits) {
      const began = performance.now();
      const busy = () =>
        Response.json({ error: { message: "full" } }, { status: 429, headers: { "retry-after": wait() } });
      const events = await runThrough(server, firstly(1, path, busy));
      assert.ok(performance.now() - began > 900);
      const warning = events.find((event) => event.type === "warning");
      assert.match(warning?.message ?? "", /answers 429\. Trying again \(2 of 3\) in [12] s/);
    }
  }
  const long = () =>
    Response.json({ error: { message: "full" } }, { status: 429, headers: { "retry-after": "900" } });
  const error = await failure(runThrough(server, firstly(9, PREPARE, long)));
  assert.match(error.message, /full\. Try again in 900 seconds$/);
  const gone = await failure(
    runThrough(server, firstly(9, RUN, () => new Response("", { status: 502 })), { tries: 2 }),
  );
  assert.match(gone.message, /the answer is 502$/);
});

Deno.test("errors describe invalid answers and those of other programs", async () => {
  await using server = await serving();
  const page = (status: number) => () => new Response("<html>Sign in</html>", { status, headers: HTML });
  const event = (text: string) => () => new Response(text, { headers: EVENTS });
  const result = (data: string) => event(`event: result\ndata: ${data}\n\n`);
  const latents = await new HttpStore(server.url).put({
    kind: "latents",
    tensors: { latents: tensor("float32", [1, 4, 8, 8], new Float32Array(256)) },
    metadata: {},
  });
  const cases: [string, () => Response, RegExp][] = [
    [PREPARE, page(200), /Cannot run "encode" on http:\S+: the answer is 200 with a web page/],
    [PREPARE, page(404), /the answer is 404 with a web page/],
    [RUN, page(200), /the answer is 200 with a web page/],
    [RUN, page(403), /the answer is 403 with a web page/],
    [PREPARE, () => Response.json({}), /not that of a pixstage server of this version/],
    [PREPARE, () => new Response("{"), /not that of a pixstage server of this version/],
    [RUN, () => Response.json({ outputs: {} }), /not that of a pixstage server of this version/],
    [RUN, result(`{"outputs":{}}`), /output "embeddings" of "encode", .*: http:\S+ names no artifact for it/],
    [
      RUN,
      result(`{"outputs":{"embeddings":"${"0".repeat(64)}"}}`),
      /does not have the artifact 0{64} that it names/,
    ],
    [
      RUN,
      result(`{"outputs":{"embeddings":"${latents}"}}`),
      /output "embeddings" of "encode", which must be embeddings: http:\S+ returned latents$/,
    ],
    [RUN, result(`{"outputs":{"embeddings":"../x"}}`), /not that of a pixstage server of this version/],
    [RUN, result(`{"outputs":`), /not that of a pixstage server of this version/],
    [RUN, event("<html>"), /broke off/],
  ];
  for (const [path, answer, message] of cases) {
    const error = await failure(runThrough(server, firstly(9, path, answer)));
    assert.match(error.message, message, path);
    assert.equal(error.fault, "environment", error.message);
  }
});

Deno.test("preparation requests the residency and the precision to which the run is limited", async () => {
  await using server = await serving();
  const executor = new HttpExecutor(server.url);
  const stage = builtInStages().get("encode");
  const node = {
    id: "text",
    stage,
    parameters: { ...graph.nodes.text.parameters, cleanCaption: true, precision: "float32" },
  };
  const { signal } = new AbortController();
  const all = await executor.prepare({ node, inputs: {}, lowestPrecision: "int8" }, { signal });
  const allowed = ({ memory }: typeof all) =>
    memory.filter(({ unlessAllowed }) => unlessAllowed === undefined);
  const precisions = new Set(allowed(all).map(({ parameters }) => parameters["precision"]));
  assert.deepEqual([...precisions].sort(), ["float32", "int8"]);
  const streamed = await executor.prepare({ node, inputs: {}, residency: "stream" }, { signal });
  assert.ok(allowed(streamed).length > 0);
  for (const { residency, parameters } of allowed(streamed)) {
    assert.deepEqual([residency, parameters["precision"]], ["stream", "float32"]);
  }
});
