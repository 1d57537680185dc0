import assert from "node:assert/strict";
import { z } from "zod";
import type { Artifact } from "../../artifacts/artifact.ts";
import { encodeArtifact } from "../../artifacts/artifact_file.ts";
import { shardPath } from "../../artifacts/store/folder_layout.ts";
import { FolderStore } from "../../artifacts/store/folder_store.ts";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import type { RunStore } from "../../artifacts/store/store.ts";
import { tensor } from "../../artifacts/tensor.ts";
import type { RunEvent } from "../../graph/events.ts";
import { originId, originOf } from "../../graph/provenance.ts";
import { executeGraph, runGraph } from "../../graph/run.ts";
import type { RunOptions, RunResult } from "../../graph/run_options.ts";
import { defineStage, type Stage } from "../../stages/stage.ts";
import { withFolder } from "../artifacts/store/samples.ts";
import { numberArtifact, numberOf, toyRun, toyStages } from "./toy_stages.ts";

const number = { kind: "number", description: "A number." };

/** A stage that returns another number each time. */
const randomStage: Stage = defineStage({
  name: "random",
  version: "1",
  description: "Returns a random number.",
  inputs: {},
  outputs: { value: number },
  parameters: z.strictObject({}),
  run: () => Promise.resolve({ value: numberArtifact(Math.random()) }),
});

/** A stage that warns both when it is prepared and when it runs. */
const warningStage: Stage = defineStage({
  name: "warning",
  version: "1",
  description: "Warns.",
  inputs: {},
  outputs: { value: number },
  parameters: z.strictObject({}),
  prepare: () => ({
    identity: {},
    warnings: ["It was prepared in haste"],
    run({ report }) {
      report({ type: "warning", message: "It ran in haste" });
      return Promise.resolve({ value: numberArtifact(1) });
    },
  }),
});

/** Returns an artifact with one number per row. */
const rowsArtifact = (values: readonly number[]): Artifact => ({
  kind: "numbers",
  tensors: { values: tensor("float64", [values.length], Float64Array.from(values)) },
  metadata: {},
});

const rowsOf = ({ tensors }: Artifact): number[] => Array.from(tensors["values"]!.data, Number);

/** A stage that doubles numbers, and whose rows are cached separately. */
const rowStage: Stage = defineStage({
  name: "double",
  version: "1",
  description: "Doubles numbers.",
  inputs: {},
  outputs: { doubled: { kind: "numbers", description: "The doubled numbers." } },
  parameters: z.strictObject({ values: z.array(z.number()).min(1) }),
  batch: {
    parameter: "values",
    output: "doubled",
    split: (all) => rowsOf(all).map((value) => rowsArtifact([value])),
    join: (rows) => rowsArtifact(rows.flatMap(rowsOf)),
  },
  prepare: ({ parameters: { values } }) => ({
    identity: { values },
    run: () => Promise.resolve({ doubled: rowsArtifact(values.map((value) => 2 * value)) }),
  }),
});

/** Adds the numbers of all rows. */
const totalStage: Stage = defineStage({
  name: "total",
  version: "1",
  description: "Adds the numbers of all rows.",
  inputs: { values: { kind: "numbers", description: "The numbers." } },
  outputs: { total: number },
  parameters: z.strictObject({}),
  run: ({ inputs }) =>
    Promise.resolve({ total: numberArtifact(rowsOf(inputs.values!).reduce((sum, value) => sum + value)) }),
});

const doubles = (...values: number[]) => ({ stage: "double", parameters: { values } });

const chain = (value: number, digits = 2) => ({
  one: { stage: "constant", parameters: { value } },
  sum: { stage: "add", inputs: { a: "one.value", b: "one.value" } },
  text: { stage: "text", parameters: { digits }, inputs: { value: "sum.sum" } },
});

async function run(
  nodes: Record<string, unknown>,
  store: RunStore,
  options: Partial<RunOptions> = {},
): Promise<{ ran: string[]; cached: string[]; warnings: string[]; made: RunResult; events: RunEvent[] }> {
  const events: RunEvent[] = [];
  const registry = toyStages();
  registry.add(randomStage);
  registry.add(warningStage);
  registry.add(rowStage);
  registry.add(totalStage);
  const made = await runGraph({ pixstage: 1, nodes }, {
    ...toyRun(),
    registry,
    store,
    onEvent: (event) => events.push(event),
    ...options,
  });
  const nodesOf = (type: RunEvent["type"]): string[] =>
    events.flatMap((event) => event.type === type && "node" in event ? [event.node ?? ""] : []);
  const warnings = events.flatMap((event) => event.type === "warning" ? [event.message] : []);
  return { ran: nodesOf("stage:start"), cached: nodesOf("stage:cached"), warnings, made, events };
}

/** Returns the results of a run in a comparable form. */
function content(made: RunResult): unknown[] {
  return [...made].map(([output, { id, artifact, provenance }]) => [
    output,
    id,
    encodeArtifact(artifact),
    provenance,
  ]);
}

Deno.test("a node whose result is in the store does not run, but its artifacts are still reported", async () => {
  await withFolder(async (folder) => {
    for (const store of [new MemoryStore(), new FolderStore(folder)]) {
      const first = await run(chain(1), store);
      assert.deepEqual([first.ran, first.cached], [["one", "sum", "text"], []]);
      const second = await run(chain(1), store);
      assert.deepEqual([second.ran, second.cached], [[], ["one", "sum", "text"]]);
      const ids = ({ events }: { events: RunEvent[] }) =>
        events.flatMap((event) => event.type === "artifact" ? [event.id] : []);
      assert.deepEqual(ids(second), ids(first));
      assert.deepEqual(content(second.made), content(first.made));
    }
  });
});

Deno.test("a change causes only the nodes that depend on it to run again", async () => {
  const store = new MemoryStore();
  await run(chain(1), store);
  assert.deepEqual((await run(chain(1, 3), store)).ran, ["text"]);
  assert.deepEqual((await run(chain(2), store)).ran, ["one", "sum", "text"]);
  // The same number, computed by another path.
  const nodes = {
    two: { stage: "constant", parameters: { value: 2 } },
    text: { stage: "text", inputs: { value: "two.value" } },
  };
  assert.deepEqual((await run(nodes, store)).ran, []);
});

Deno.test("a result is found under other node names and by other executors", async () => {
  const store = new MemoryStore();
  await run(chain(1), store);
  const { one, sum } = chain(1);
  const nodes = { uno: one, somme: { ...sum, inputs: { a: "uno.value", b: "uno.value" } } };
  assert.deepEqual((await run(nodes, store)).ran, []);
});

Deno.test("only the needed artifacts are read from a store", async () => {
  const read: string[] = [];
  class Counting extends MemoryStore {
    override get(id: string): ReturnType<MemoryStore["get"]> {
      read.push(id);
      return super.get(id);
    }
  }
  const store = new Counting();
  await run(chain(1), store);
  read.length = 0;
  const { made } = await run(chain(1), store);
  assert.deepEqual(read, [made.get("text.text")?.id]);
});

Deno.test("artifacts that the store lost are made again only when they are needed", async () => {
  await withFolder(async (folder) => {
    const store = new FolderStore(folder);
    const { events, made } = await run(chain(1), store);
    const ids = events.flatMap((event) => event.type === "artifact" ? [event.id] : []);
    const [one, sum, text] = ids.map((id) => shardPath(folder, "artifacts", id));
    await Deno.remove(one!);
    await Deno.remove(sum!);
    assert.deepEqual((await run(chain(1), store)).ran, []);
    await Deno.remove(text!);
    const again = await run(chain(1), store);
    assert.deepEqual(again.ran, ["one", "sum", "text"]);
    assert.deepEqual(content(again.made), content(made));
  });
});

Deno.test("a run that passes ids makes its results again if the store lost them", async () => {
  const store = new MemoryStore();
  const execute = () => executeGraph({ pixstage: 1, nodes: chain(1) }, { ...toyRun(), store });
  const made = (await execute()).get("text.text");
  assert.equal(await store.has(made!.id), true);
  await store.delete(made!.id);
  assert.deepEqual((await execute()).get("text.text"), made);
  assert.equal(await store.has(made!.id), true);
});

Deno.test("rows that the store lost are made again even if their records exist", async () => {
  const store = new MemoryStore();
  const nodes = { one: doubles(1, 2), other: doubles(2, 3) };
  const { made } = await run(nodes, store);
  for (const { id } of await Array.fromAsync(store.list())) await store.delete(id);
  const again = await run(nodes, store);
  assert.deepEqual(again.ran, ["one", "other"]);
  assert.deepEqual(content(again.made), content(made));
  // The result of one node is lost but needed while another node waits.
  for (const { id } of await Array.fromAsync(store.list())) await store.delete(id);
  const total = { stage: "total", inputs: { values: "one.doubled" } };
  const more = await run({ one: doubles(1, 2), total, other: doubles(4, 2) }, store);
  assert.deepEqual(more.ran, ["one", "total"], "the rows of the other are made with those of the first");
  assert.equal(numberOf(more.made.get("total.total")?.artifact), 6);
  assert.deepEqual(rowsOf(more.made.get("other.doubled")!.artifact), [8, 4]);
});

Deno.test("a node runs as planned if another run makes its rows meanwhile", async () => {
  const store = new MemoryStore();
  await run({ one: doubles(1), two: doubles(2) }, store);
  const get = store.get.bind(store);
  let reads = 0;
  store.get = (id) => reads++ === 0 ? Promise.resolve(undefined) : get(id);
  const { made, ran } = await run({ both: doubles(1, 2) }, store);
  assert.deepEqual(ran, ["both"]);
  assert.deepEqual(rowsOf(made.get("both.doubled")!.artifact), [2, 4]);
});

Deno.test("a run recovers from every kind of damage in its store, and reports it", async () => {
  await withFolder(async (folder) => {
    const store = new FolderStore(folder);
    const { made } = await run(chain(1), store);
    const files = (await Array.fromAsync(walk(folder))).filter((path) => /\.(safetensors|json)$/.test(path));
    for (const path of files) {
      const whole = await Deno.readFile(path);
      const flipped = whole.with(whole.length - 3, whole.at(-3)! ^ 4);
      for (const damaged of [flipped, whole.slice(0, 20), new Uint8Array()]) {
        await Deno.writeFile(path, new Uint8Array(damaged));
        const again = await run(chain(1), store);
        assert.deepEqual(content(again.made), content(made));
        const needed = again.ran.length > 0;
        assert.equal(again.warnings.some((message) => message.includes(path)), needed, path);
        if (needed) assert.deepEqual(await Deno.readFile(path), whole);
        await Deno.writeFile(path, whole);
      }
    }
  });
});

Deno.test("a store that cannot be written is reported once, and the run continues", async () => {
  class Full extends MemoryStore {
    override put(): Promise<string> {
      return Promise.reject(new Error("the disk is full"));
    }
  }
  const { made, warnings } = await run(chain(1), new Full());
  assert.equal(numberOf(made.get("text.text")?.artifact), 2);
  assert.deepEqual(warnings, ["The store does not keep this run's artifacts: the disk is full"]);
});

Deno.test("warnings are repeated if the result is found in the store", async () => {
  await withFolder(async (folder) => {
    for (const store of [new MemoryStore(), new FolderStore(folder)]) {
      const expected = ["It was prepared in haste", "It ran in haste"];
      const first = await run({ any: { stage: "warning" } }, store);
      assert.deepEqual([first.ran, first.warnings], [["any"], expected]);
      const second = await run({ any: { stage: "warning" } }, store);
      assert.deepEqual([second.ran, second.cached, second.warnings], [[], ["any"], expected]);
      const { events } = await run({ some: { stage: "warning" } }, store);
      const nodes = events.flatMap((event) => event.type === "warning" ? [event.node] : []);
      assert.deepEqual(nodes, ["some", "some"], "of the node that it is now");
    }
  });
});

Deno.test("a stage with varying results runs once, and again only after its result was lost", async () => {
  const store = new MemoryStore();
  const nodes = { any: { stage: "random" }, sum: { stage: "add", inputs: { a: "any.value" } } };
  const first = await run(nodes, store);
  assert.deepEqual(content((await run(nodes, store)).made), content(first.made));
  for (const { id } of store.list()) await store.delete(id);
  const again = await run(nodes, store);
  assert.deepEqual(again.ran, ["any", "sum"]);
  assert.notEqual(again.made.get("sum.sum")?.id, first.made.get("sum.sum")?.id);
});

Deno.test("artifacts in the store can be inputs, and results made from a file are found without it", async () => {
  const store = new MemoryStore();
  const readFile = () => Promise.resolve({ artifact: numberArtifact(20) });
  const file = await run({ sum: { stage: "add", inputs: { a: { file: "n" }, b: { file: "n" } } } }, store, {
    readFile,
  });
  const { artifact: id } = Object.values(file.made.get("sum.sum")!.provenance.graph.nodes)[0]!
    .inputs["a"] as {
      artifact: string;
    };
  const stored = await run(
    { sum: { stage: "add", inputs: { a: { artifact: id }, b: { artifact: id } } } },
    store,
  );
  assert.deepEqual(stored.ran, []);
  assert.deepEqual(content(stored.made), content(file.made));
  await assert.rejects(
    run({ sum: { stage: "add", inputs: { a: { artifact: "0".repeat(64) } } } }, store),
    /Cannot read artifact 0+, input "a" of "sum", because the store does not have it: use the store of /,
  );
});

Deno.test("provenance is the same for a whole run and for its parts, and can be run", async () => {
  const store = new MemoryStore();
  const whole = await run(chain(3), store);
  const { provenance, id } = whole.made.get("text.text")!;
  const { one, sum, text } = chain(3);
  const other = new MemoryStore();
  const part = (await run({ one, sum }, other)).made.get("sum.sum")!;
  const readFile = () => Promise.resolve(part);
  const end = await run({ text: { ...text, inputs: { value: { file: "sum" } } } }, new MemoryStore(), {
    readFile,
  });
  assert.deepEqual(end.made.get("text.text")!.provenance, provenance);
  assert.equal(originId(originOf(provenance)), id);
  const again = await run(provenance.graph.nodes, new MemoryStore());
  assert.equal(again.made.get("text.text")?.id, id);
  assert.deepEqual(again.made.get("text.text")?.provenance, provenance);
});

async function* walk(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* walk(`${folder}/${name}`);
    else yield `${folder}/${name}`;
  }
}
