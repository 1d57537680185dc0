import assert from "node:assert/strict";
import { fc } from "../random.ts";
import { type RunEvent, runEventSchema } from "../../graph/events.ts";
import { GraphError } from "../../graph/graph_error.ts";
import { runGraph } from "../../graph/run.ts";
import { numberArtifact, numberOf, toyRun } from "./toy_stages.ts";

const one = { stage: "constant", parameters: { value: 1 } };

/** Runs a graph and also returns its events. */
async function run(
  nodes: Record<string, unknown>,
  options: Partial<Parameters<typeof runGraph>[1]> = {},
): Promise<{ events: RunEvent[]; made?: Awaited<ReturnType<typeof runGraph>>; error?: unknown }> {
  const events: RunEvent[] = [];
  try {
    const made = await runGraph({ pixstage: 1, nodes }, {
      ...toyRun(),
      onEvent: (event) => events.push(event),
      ...options,
    });
    return { events, made };
  } catch (error) {
    return { events, error };
  }
}

Deno.test("runGraph() returns the artifacts of every port with their ids", async () => {
  const { made } = await run({ one, sum: { stage: "add", inputs: { a: "one.value", b: "one.value" } } });
  assert.equal(numberOf(made?.get("sum.sum")?.artifact), 2);
  assert.match(made?.get("sum.sum")?.id ?? "", /^[0-9a-f]{64}$/);
});

Deno.test("runGraph() reports events in a fixed order", async () => {
  const { events } = await run({ one, sum: { stage: "add", inputs: { a: "one.value" } } });
  assert.deepEqual(events.map((event) => ("node" in event ? `${event.node} ` : "") + event.type), [
    "one stage:start",
    "one artifact",
    "one stage:end",
    "sum stage:start",
    "sum artifact",
    "sum stage:end",
    "done",
  ]);
  for (const event of events) {
    assert.deepEqual(runEventSchema.parse(JSON.parse(JSON.stringify(event))), event);
  }
  assert.ok(events.every((event, i) => i === 0 || event.elapsedMs >= events[i - 1]!.elapsedMs));
});

Deno.test("runGraph() refuses an invalid graph before any stage runs", async () => {
  const { error, events } = await run({ one, sum: { stage: "add" } });
  assert.ok(error instanceof GraphError);
  assert.deepEqual(events.map(({ type }) => type), ["failed"]);
});

Deno.test("runGraph() prepares every stage before any stage runs", async () => {
  const refusing = { stage: "refusing", parameters: { when: "prepare" }, inputs: { value: "one.value" } };
  const { error, events } = await run({ one, refusing });
  assert.match(String(error), /Cannot prepare/);
  assert.deepEqual(events.map(({ type }) => type), ["failed"]);
});

Deno.test("runGraph() names the node that failed", async () => {
  const refusing = { stage: "refusing", parameters: { when: "run" }, inputs: { value: "one.value" } };
  const { events } = await run({ one, refusing });
  const last = events.at(-1);
  assert.ok(last?.type === "failed" && last.node === "refusing" && last.error === "RangeError");
});

Deno.test("runGraph() catches a stage that breaks its contract", async () => {
  const refusing = { stage: "refusing", parameters: { when: "output" }, inputs: { value: "one.value" } };
  const { error } = await run({ one, refusing });
  assert.match(String(error), /output "value" must be number, but it is something else/);
});

Deno.test("runGraph() reads files and checks them against their ports", async () => {
  const nodes = { sum: { stage: "add", inputs: { a: { file: "n" } } } };
  const number = await run(nodes, { readFile: () => Promise.resolve({ artifact: numberArtifact(7) }) });
  assert.equal(numberOf(number.made?.get("sum.sum")?.artifact), 7);
  const text = await run(nodes, {
    readFile: () => Promise.resolve({ artifact: numberArtifact(7, "text") }),
  });
  assert.match(String(text.error), /ArtifactError: Input "a" of "sum" expects number, but n contains text/);
  assert.match(String((await run(nodes)).error), /Cannot read n: this runner does not read files/);
});

Deno.test("runGraph() stops on abort, and reports that it was cancelled", async () => {
  const signal = AbortSignal.abort(new Error("enough"));
  const { error, events } = await run({ one }, { signal });
  assert.equal((error as Error).message, "enough");
  assert.deepEqual(events.map(({ type }) => type), ["cancelled"]);
});

Deno.test("runGraph() refuses an unknown executor", async () => {
  const { error } = await run({ one: { ...one, executor: "moon" } });
  assert.match(String(error), /on "moon": the executors are inline/);
});

Deno.test("runGraph() computes the sum of any tree of additions", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 8 }),
      async (values) => {
        const nodes: Record<string, unknown> = {};
        values.forEach((value, i) => {
          nodes[`c${i}`] = { stage: "constant", parameters: { value } };
          nodes[`s${i}`] = {
            stage: "add",
            inputs: i === 0 ? { a: "c0.value" } : { a: `c${i}.value`, b: `s${i - 1}.sum` },
          };
        });
        const { made } = await run(nodes);
        const sum = values.reduce((a, b) => a + b, 0);
        assert.equal(numberOf(made?.get(`s${values.length - 1}.sum`)?.artifact), sum);
      },
    ),
    { numRuns: 25 },
  );
});
