import assert from "node:assert/strict";
import { Collector, type Span } from "./collector.ts";
import { ServerProcess } from "./server_process.ts";

Deno.test("a collector receives a span for each run within its request, and one within it for each stage", async () => {
  const store = await Deno.makeTempDir();
  await using collector = new Collector();
  const server = new ServerProcess({
    store,
    asTask: true,
    env: collector.env,
  });
  const small = { model: "tiny", prompts: ["cute cat"], width: 64, height: 64, steps: 4, guidanceScale: 2 };
  let first, second, cancelled;
  try {
    await server.listens();
    first = await server.order({ request: small });
    await server.ended(first.id);
    second = await server.order({ request: { ...small, seeds: [1] } });
    await server.ended(second.id);
    cancelled = await server.order({ request: { ...small, width: 512, height: 512, steps: 150 } });
    await fetch(`${server.url}/v1/jobs/${cancelled.id}/cancel`, { method: "POST" });
    await server.ended(cancelled.id);
  } finally {
    // The remaining spans are exported when the server ends.
    await server.end("SIGTERM");
    await Deno.remove(store, { recursive: true });
  }

  const runOf = (id: string): Span =>
    collector.named("run picture").find(({ attributes }) =>
      JSON.stringify(attributes["pixstage.job.ids"]).includes(id)
    )!;
  const stagesOf = ({ spanId }: Span): Span[] =>
    collector.spans.filter(({ parentSpanId }) => parentSpanId === spanId)
      .sort((a, b) => Number(a.startTimeUnixNano - b.startTimeUnixNano));

  const run = runOf(first.id);
  assert.equal(run.attributes["pixstage.job.status"], "completed");
  const request = collector.spans.find(({ spanId }) => spanId === run.parentSpanId)!;
  assert.equal(request.name, "POST /v1/jobs");
  assert.equal(request.attributes["http.route"], "/v1/jobs");
  assert.match(String(request.attributes["pixstage.request.id"]), /^[\w-]{10,}$/);

  // The negative prompt is encoded in the run of the prompt.
  const stages = stagesOf(run);
  assert.deepEqual(
    stages.map(({ name, attributes }) => [
      name,
      attributes["pixstage.node"],
      attributes["pixstage.cached"] ?? false,
    ]),
    [
      ["stage encode", "prompt", false],
      ["stage encode", "negative", true],
      ["stage denoise", "denoise", false],
      ["stage decode", "decode", false],
    ],
  );
  for (const { traceId, startTimeUnixNano, endTimeUnixNano, attributes } of stages) {
    if (attributes["pixstage.cached"]) continue;
    assert.equal(traceId, request.traceId);
    assert(run.startTimeUnixNano <= startTimeUnixNano && startTimeUnixNano < endTimeUnixNano);
    assert(endTimeUnixNano <= run.endTimeUnixNano);
    assert(Number(attributes["pixstage.peak_bytes"]) > 1e6);
  }
  const denoise = stages.find(({ name }) => name === "stage denoise")!.attributes;
  assert.deepEqual([denoise["pixstage.steps"], denoise["pixstage.model"]], [4, "tiny"]);

  // Spans mark results from the store, and a cancelled run is not an error.
  const again = stagesOf(runOf(second.id)).map((
    { name, attributes },
  ) => [name, attributes["pixstage.cached"]]);
  assert.deepEqual(again, [
    ["stage encode", true],
    ["stage encode", true],
    ["stage denoise", undefined],
    ["stage decode", undefined],
  ]);
  const stopped = runOf(cancelled.id);
  assert.equal(stopped.attributes["pixstage.job.status"], "cancelled");
  assert.equal(stopped.status.code, 0);
});
