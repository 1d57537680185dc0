import assert from "node:assert/strict";
import process from "node:process";
import { z } from "zod";
import { packEmbeddings } from "../../artifacts/embeddings.ts";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import { tensor } from "../../artifacts/tensor.ts";
import { planGraph } from "../../graph/plan.ts";
import { describeOrigin, originId, originOf, type Provenance } from "../../graph/provenance.ts";
import { runGraph } from "../../graph/run.ts";
import type { RunOptions } from "../../graph/run_options.ts";
import { builtInStages } from "../../stages/mod.ts";
import { defineStage, type Stage } from "../../stages/stage.ts";
import { numberArtifact, toyRun, toyStages } from "./toy_stages.ts";

/** A walk that visits a node once per path would make 2^60 visits. */
const LONGEST_MS = 2000;

/** Returns the processor time of this process in milliseconds, which other processes do not affect. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/**
 * Builds a chain of nodes that each use the previous node twice, so that 2^length paths lead from the last
 * node to the first.
 */
function chain(length: number, node: (before: string | undefined) => object): Record<string, object> {
  return Object.fromEntries(
    Array.from({ length }, (_, index) => [`n${index}`, node(index === 0 ? undefined : `n${index - 1}`)]),
  );
}

const sums = (length: number) =>
  chain(
    length,
    (before) =>
      before
        ? { stage: "add", inputs: { a: `${before}.sum`, b: `${before}.sum` } }
        : { stage: "add", inputs: { a: { file: "number" } } },
  );

const mixtures = (length: number) =>
  chain(length, (before) => ({
    stage: "interpolate",
    parameters: { amount: 0.5 },
    inputs: before
      ? { from: `${before}.embeddings`, to: `${before}.embeddings` }
      : { from: { file: "from" }, to: { file: "to" } },
  }));

const embeddings = (value: number, text: string) =>
  packEmbeddings({ prompts: [tensor("float32", [2, 4], new Float32Array(8).fill(value))] }, 5, {
    prompts: [text],
  });

for (const length of [20, 60]) {
  Deno.test(`${length} nodes with two edges from each to the next plan, run and report their lineage without delay`, async () => {
    const nodes = sums(length);
    const output = `n${length - 1}.sum`;
    const started = processorMs();
    assert.equal(planGraph({ pixstage: 1, nodes }, toyStages()).nodes.length, length);
    const store = new MemoryStore();
    const options = { ...toyRun(), store, readFile: () => Promise.resolve({ artifact: numberArtifact(1) }) };
    const { id, provenance } = (await runGraph({ pixstage: 1, nodes }, options)).get(output)!;
    assert.equal(Object.keys(provenance.graph.nodes).length, length);

    // The provenance is read back from its text and from the store, and run again.
    const read = originOf(provenance);
    assert.equal(originId(read), id);
    assert.deepEqual(describeOrigin(read), provenance);
    const text = { stage: "text", inputs: { value: { artifact: id } } };
    const stored = (await runGraph({ pixstage: 1, nodes: { text } }, options)).get("text.text")!;
    assert.equal(Object.keys(stored.provenance.graph.nodes).length, length + 1);
    const again = await runGraph(provenance.graph, { ...toyRun(), store });
    assert.deepEqual([...again.values()].map((made) => made.id), [id]);
    const took = processorMs() - started;
    assert.ok(took < LONGEST_MS, `It took ${took} ms`);
  });

  Deno.test(`${length} chained interpolations run and report their lineage without delay`, async () => {
    const nodes = mixtures(length);
    const started = processorMs();
    const made = await runGraph({ pixstage: 1, nodes }, {
      ...toyRun(),
      registry: builtInStages(),
      readFile: (path) => Promise.resolve({ artifact: embeddings(path === "from" ? 1 : 3, path) }),
    });
    const { artifact, provenance } = made.get(`n${length - 1}.embeddings`)!;
    assert.ok(artifact.tensors["prompt_embeds"]!.data.slice(0, 8).every((value) => value === 2));
    assert.equal(Object.keys(provenance.graph.nodes).length, length);
    assert.ok(
      JSON.stringify(artifact.metadata).length < 10_000,
      "what it says of its prompts stays readable",
    );
    const took = processorMs() - started;
    assert.ok(took < LONGEST_MS, `It took ${took} ms`);
  });
}

const number = { kind: "number", description: "A number." };

/** Returns its input, so that an artifact is its own source. */
const passStage: Stage = defineStage({
  name: "pass",
  version: "1",
  description: "Returns its input.",
  inputs: { any: number },
  outputs: { any: number },
  parameters: z.strictObject({}),
  run: ({ inputs }) => Promise.resolve({ any: inputs.any }),
});

Deno.test("a cyclic lineage in the store ends at the first repeat", async () => {
  const registry = toyStages();
  registry.add(passStage);
  const readFile = () => Promise.resolve({ artifact: numberArtifact(1) });
  const options: RunOptions = { ...toyRun(), registry, store: new MemoryStore(), readFile };
  const pass = { stage: "pass", inputs: { any: { file: "number" } } };
  const { id } = (await runGraph({ pixstage: 1, nodes: { pass } }, options)).get("pass.any")!;
  const text = { stage: "text", inputs: { value: { artifact: id } } };
  const { provenance } = (await runGraph({ pixstage: 1, nodes: { text } }, options)).get("text.text")!;
  assert.deepEqual(Object.keys(provenance.graph.nodes).sort(), ["pass", "text"]);
  assert.deepEqual(provenance.graph.nodes["pass"]?.inputs, { any: { artifact: id } });
});

/** The provenance of a malicious file: two sums, each the input of the other. */
function cyclic(id: string): Provenance {
  const sum = (from: string) => ({ stage: "add", parameters: {}, inputs: { a: from } });
  const made = { version: "1", models: [], outputs: { sum: id } };
  return {
    graph: { pixstage: 1, nodes: { left: sum("right.sum"), right: sum("left.sum") } },
    output: "left.sum",
    stages: { left: made, right: made },
  };
}

Deno.test("a file with a cyclic lineage is refused, and the error shows the cycle", async () => {
  const provenance = cyclic("0".repeat(64));
  const fault = {
    code: "invalid_value",
    message: /^Cannot read the lineage of an artifact: its graph has a cycle, left → right → left$/,
  };
  assert.throws(() => originOf(provenance), fault);
  const nodes = { sum: { stage: "add", inputs: { a: { file: "number" } } } };
  const readFile = () => Promise.resolve({ artifact: numberArtifact(1), provenance });
  await assert.rejects(runGraph({ pixstage: 1, nodes }, { ...toyRun(), readFile }), fault);
});
