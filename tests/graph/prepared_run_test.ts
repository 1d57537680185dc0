import type { RuntimeTraits } from "../../runtime/runtime.ts";
import assert from "node:assert/strict";
import { z } from "zod";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import { type RunEvent, runEventSchema } from "../../graph/events.ts";
import { InlineExecutor } from "../../graph/executors/inline.ts";
import { MemoryBudgetError } from "../../graph/memory_plan.ts";
import { prepareRun } from "../../graph/prepared_run.ts";
import { runGraph } from "../../graph/run.ts";
import type { RunOptions } from "../../graph/run_options.ts";
import type { Precision } from "../../models/precision.ts";
import { precisionSchema } from "../../models/precision.ts";
import type { Residency } from "../../models/segments.ts";
import { defineStage, type Stage } from "../../stages/stage.ts";
import { noModels, noRuntime, numberArtifact, numberOf, toyStages } from "./toy_stages.ts";

const number = { kind: "number", description: "A number." };

/** Weights, and the recipe of their quantization. */
interface Weights {
  readonly fingerprint: string;
  readonly quantizer: number;
}

const WEIGHTS: Weights = { fingerprint: "a".repeat(64), quantizer: 1 };

/** One preparation of the stage below. */
interface Prepared {
  readonly name: string;
  readonly precision: Precision;
  readonly residency: Residency | undefined;
}

/** Returns a stage with weights that adds one and logs each preparation. */
function weighted({ fingerprint, quantizer }: Weights, log: Prepared[] = []): Stage {
  return defineStage({
    name: "weighted",
    version: "1",
    description: "Adds one.",
    inputs: { a: { ...number, optional: true }, b: { ...number, optional: true } },
    outputs: { value: number },
    parameters: z.strictObject({
      name: z.string().default(""),
      model: z.string().default("here"),
      precision: precisionSchema.default("float32"),
    }),
    prepare({ parameters: { name, model, precision }, residency }) {
      log.push({ name, precision, residency });
      const isQuantized = precision === "int8";
      const way = (residency: Residency, precision: Precision, peakBytes: number) => ({
        residency,
        parameters: { precision },
        weightBytes: 10,
        peakBytes,
        heldBytes: 0,
        advice: "allow more",
      });
      return {
        identity: { precision, ...(isQuantized ? { quantizer } : {}) },
        weights: [{ model, component: "transformer", content: fingerprint }],
        memory: [way("stage", "float32", 3e9), way("stream", "float32", 2e9), way("stream", "int8", 1e9)],
        run: ({ inputs }) =>
          Promise.resolve({ value: numberArtifact(1 + (inputs.a ? numberOf(inputs.a) : 0)) }),
      };
    },
  });
}

/** Runs a graph of weighted stages, and returns the nodes that ran. */
async function run(
  nodes: Record<string, unknown>,
  { stage = weighted(WEIGHTS), numerics, ...options }: Partial<RunOptions> & {
    readonly stage?: Stage;
    readonly numerics?: JsonObject | undefined;
  } = {},
): Promise<{ ran: string[]; events: RunEvent[]; made: Awaited<ReturnType<typeof runGraph>> }> {
  const registry = toyStages();
  registry.add(stage);
  const traits: RuntimeTraits = {
    hostMemory: numerics === undefined,
    float16: false,
    ...(numerics ? { numerics } : {}),
  };
  const events: RunEvent[] = [];
  const made = await runGraph({ pixstage: 1, nodes }, {
    registry,
    executors: [new InlineExecutor({ models: noModels, runtime: noRuntime(traits) })],
    onEvent: (event) => events.push(event),
    ...options,
  });
  return { ran: events.flatMap((event) => event.type === "stage:start" ? [event.node] : []), events, made };
}

/** A node of the weighted stage. */
const node = (parameters: object = {}, inputs: object = {}) => ({ stage: "weighted", parameters, inputs });

/** Two paths from one node to another. */
const diamond = {
  top: node({ name: "top" }),
  left: node({ name: "left" }, { a: "top.value" }),
  right: node({ name: "right" }, { a: "top.value" }),
  bottom: node({ name: "bottom" }, { a: "left.value", b: "right.value" }),
};

Deno.test("each node is prepared once, before any node runs, however many nodes use it", async () => {
  const log: Prepared[] = [];
  const { ran, made } = await run(diamond, { stage: weighted(WEIGHTS, log) });
  assert.deepEqual(log.map(({ name }) => name), ["top", "left", "right", "bottom"]);
  // The left and right nodes are equal, so only one of them runs.
  assert.deepEqual(ran, ["top", "left", "bottom"]);
  assert.equal(numberOf(made.get("bottom.value")?.artifact), 3);
  log.length = 0;
  await run({ ...diamond, alone: node({ name: "alone" }) }, { stage: weighted(WEIGHTS, log), until: "left" });
  assert.deepEqual(log.map(({ name }) => name), ["top", "left"], "nodes that do not run are not prepared");
});

Deno.test("a result is found by exactly what it depends on", async () => {
  const store = new MemoryStore();
  const one = (parameters: object = {}) => ({ one: node(parameters) });
  const ran = async (...[nodes, options]: Parameters<typeof run>): Promise<boolean> =>
    (await run(nodes, { store, ...options })).ran.length > 0;
  assert.equal(await ran(one()), true);
  assert.equal(await ran(one()), false, "the same");

  // Changes that affect the result.
  assert.equal(await ran(one(), { numerics: { device: "webgpu" } }), true, "another device's numerics");
  assert.equal(await ran(one(), { numerics: { device: "webgpu" } }), false, "the same device");
  assert.equal(await ran(one(), { numerics: { device: "cuda" } }), true, "a third device's numerics");
  assert.equal(await ran(one({ precision: "int8" })), true, "another precision");
  assert.equal(await ran(one({ precision: "int8" })), false, "the same precision");
  const requantized = weighted({ ...WEIGHTS, quantizer: 2 });
  assert.equal(await ran(one({ precision: "int8" }), { stage: requantized }), true, "another quantizer");
  assert.equal(await ran(one(), { stage: requantized }), false, "weights that are not quantized");
  const retrained = weighted({ ...WEIGHTS, fingerprint: "b".repeat(64) });
  assert.equal(await ran(one(), { stage: retrained }), true, "other weights");
  assert.equal(await ran(one(), { stage: { ...weighted(WEIGHTS), version: "2" } }), true, "another version");

  // Changes that do not affect it.
  assert.equal(await ran(one({ model: "elsewhere" })), false, "a copy of the checkpoint");
  assert.equal(await ran(one({ name: "another" })), false, "a parameter that is not part of the identity");
  assert.equal(await ran(one(), { residency: { "*": "stream" } }), false, "residency");
});

Deno.test("a device's numerics only concern weights: results computed without weights are found on every device", async () => {
  const store = new MemoryStore();
  const nodes = { one: { stage: "constant", parameters: { value: 1 } } };
  assert.deepEqual((await run(nodes, { store })).ran, ["one"]);
  assert.deepEqual((await run(nodes, { store, numerics: { device: "webgpu" } })).ran, []);
});

Deno.test("the first event predicts the memory of the run if a stage does", async () => {
  const { events } = await run({ one: node(), sum: { stage: "add", inputs: { a: "one.value" } } });
  const [first] = events;
  assert.ok(first?.type === "plan");
  assert.deepEqual(runEventSchema.parse(JSON.parse(JSON.stringify(first))), first);
  assert.deepEqual([first.fits, first.predictedPeak, first.problems], [true, 3e9, []]);
  assert.deepEqual(first.stages, [{
    stage: "weighted",
    nodes: ["one"],
    residency: "stage",
    precision: "float32",
    weightBytes: 10,
    predictedPeak: 3e9,
  }]);
  const toys = await run({ one: { stage: "constant", parameters: { value: 1 } } });
  assert.deepEqual(toys.events.filter(({ type }) => type === "plan"), []);
});

Deno.test("a memory limit decides how a node runs, and the node is prepared again for it", async () => {
  const log: Prepared[] = [];
  const stage = weighted(WEIGHTS, log);
  await run({ one: node() }, { stage, maxMemory: 2.5e9 });
  assert.deepEqual(log, [
    { name: "", precision: "float32", residency: undefined },
    { name: "", precision: "float32", residency: "stream" },
  ]);
  log.length = 0;
  const { made } = await run({ one: node() }, { stage, maxMemory: 1.5e9 });
  assert.deepEqual(log.at(-1), { name: "", precision: "int8", residency: "stream" });
  assert.equal(made.get("one.value")?.provenance.graph.nodes["weighted"]?.parameters["precision"], "int8");
});

Deno.test("a run that cannot fit is refused before any node runs, and a dry run says by how much", async () => {
  const events: RunEvent[] = [];
  const limited = { maxMemory: 0.5e9, onEvent: (event: RunEvent) => events.push(event) };
  await assert.rejects(run({ one: node() }, limited), (error) => {
    assert.ok(error instanceof MemoryBudgetError);
    assert.equal(
      error.message,
      "Cannot stay within 500 MB because weighted needs 1 GB, 500 MB more than allowed: allow more",
    );
    return true;
  });
  assert.deepEqual(events.map(({ type }) => type), ["plan", "failed"]);
  const registry = toyStages();
  registry.add(weighted(WEIGHTS));
  const { memory } = await prepareRun({ pixstage: 1, nodes: { one: node() } }, {
    registry,
    executors: [new InlineExecutor({ models: noModels, runtime: noRuntime() })],
    maxMemory: 0.5e9,
    isTrial: true,
  });
  assert.deepEqual([memory.fits, memory.limitBytes, memory.problems], [false, 0.5e9, [
    "weighted needs 1 GB, 500 MB more than allowed: allow more",
  ]]);
});
