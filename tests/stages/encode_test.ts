import assert from "node:assert/strict";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import type { RunEvent } from "../../graph/events.ts";
import { InlineExecutor } from "../../graph/executors/inline.ts";
import { runGraph } from "../../graph/run.ts";
import type { RunOptions } from "../../graph/run_options.ts";
import { localRun } from "../../local.ts";
import { openQuantized } from "../../models/quantization/open_quantized.ts";
import { RECIPES } from "../../models/quantization/recipe.ts";
import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
import { deviceTraits } from "../../runtime/device.ts";
import { precisionIdentity } from "../../stages/model.ts";
import { goldenPath } from "../goldens.ts";

const model = goldenPath("checkpoints/tiny-alpha-512");
const local = localRun({ threads: 1 });

/** The report of one run about encoding. */
interface Run {
  /** Ids of the embeddings, by node. */
  readonly ids: Readonly<Record<string, string>>;
  /** The nodes that ran. */
  readonly ran: readonly string[];
  /** How often the text encoder was opened, and in how many segments in total. */
  readonly openings: number;
  readonly pieces: number;
  /** Number of texts that passed through it. */
  readonly texts: number;
  readonly warnings: readonly { readonly message: string; readonly node: string | undefined }[];
}

/** Encodes texts with one node per list. */
async function encode(
  texts: Readonly<Record<string, readonly string[] | undefined>>,
  { parameters = {}, ...options }: Partial<RunOptions> & {
    readonly parameters?: Readonly<Record<string, object>>;
  } = {},
): Promise<Run> {
  const nodes = Object.fromEntries(
    Object.entries(texts).map(([id, prompts]) => [
      id,
      { stage: "encode", parameters: { model, ...(prompts ? { prompts } : {}), ...parameters[id] } },
    ]),
  );
  const events: RunEvent[] = [];
  const made = await runGraph({ pixstage: 1, nodes }, {
    ...local,
    onEvent: (event) => events.push(event),
    ...options,
  });
  const loads = events.filter((event) => event.type === "stage:load");
  return {
    ids: Object.fromEntries([...made].map(([output, { id }]) => [output.split(".")[0]!, id])),
    ran: events.flatMap((event) => event.type === "stage:start" ? [event.node] : []),
    openings: loads.filter(({ loaded }) => loaded === 1).length,
    pieces: loads.length,
    texts: events.filter(({ type }) => type === "step").length,
    warnings: events.flatMap((event) =>
      event.type === "warning" ? [{ message: event.message, node: event.node }] : []
    ),
  };
}

const three = { prompt: ["cute cat", "a boat"], negative: undefined, other: ["a boat", "a moon"] };

Deno.test("several nodes open the text encoder once and encode each text once", async () => {
  const { ids, ran, openings, texts } = await encode(three);
  assert.deepEqual(ran, ["prompt"]);
  assert.equal(openings, 1);
  assert.equal(texts, 4, "cute cat, a boat, the empty negative prompt, a moon");
  for (const [id, prompts] of Object.entries(three)) {
    assert.equal((await encode({ [id]: prompts })).ids[id], ids[id], `${id} is what it would be alone`);
  }
});

Deno.test("streamed weights are read once for the texts of all nodes", async () => {
  const options = { residency: { "*": "stream" as const } };
  const all = await encode(three, options);
  const alone = await encode({ prompt: ["cute cat"] }, options);
  assert.ok(alone.pieces > 1, "a layer at a time");
  assert.deepEqual([all.openings, all.pieces], [1, alone.pieces]);
  assert.equal(all.ids["prompt"], (await encode(three)).ids["prompt"]);
});

Deno.test("texts are cached separately: a run with one more encodes only that one", async () => {
  const store = new MemoryStore();
  await encode({ prompt: ["cute cat", "a boat"] }, { store });
  const more = await encode({ prompt: ["a boat", "a moon", "cute cat"], negative: [""] }, { store });
  assert.deepEqual([more.ran, more.openings, more.texts], [["prompt"], 1, 2], "a moon and nothing");
  const fresh = await encode({ prompt: ["a boat", "a moon", "cute cat"], negative: [""] });
  assert.deepEqual(more.ids, fresh.ids);
  // All texts are cached, so nothing is opened.
  const known = await encode({ prompt: ["cute cat", "", "a moon"] }, { store });
  assert.deepEqual([known.ran, known.openings, known.texts], [[], 0, 0]);
  assert.deepEqual(known.ids, (await encode({ prompt: ["cute cat", "", "a moon"] })).ids);
});

Deno.test("nodes with other encoding settings are encoded separately", async () => {
  const parameters = { other: { cleanCaption: false }, longer: { maxSequenceLength: 40 } };
  const { ran, openings, texts } = await encode(
    { prompt: ["cute cat"], same: ["cute cat"], other: ["cute cat"], longer: ["cute cat"] },
    { parameters },
  );
  assert.deepEqual([ran, openings, texts], [["prompt", "other", "longer"], 3, 3]);
});

Deno.test("a truncated text causes a warning in each run, even if its embedding is cached", async () => {
  const store = new MemoryStore();
  const long = "cat ".repeat(200);
  const first = await encode({ prompt: ["cute cat", long] }, { store });
  const [warning, ...others] = first.warnings;
  assert.deepEqual([others, warning?.node], [[], "prompt"]);
  assert.match(warning!.message, /^The prompt "cat cat .*…" has more than 120 tokens: ".*" was cut off$/);
  const again = await encode({ prompt: ["cute cat", long] }, { store });
  assert.deepEqual([again.ran, again.warnings], [[], first.warnings]);
  const other = await encode({ other: [long] }, { store });
  assert.deepEqual(other.warnings, [{ ...warning, node: "other" }]);
});

Deno.test("keys of quantized weights include precision and the quantizer's version, and other keys do not", () => {
  const [cpu, gpu] = [deviceTraits("cpu"), deviceTraits("webgpu")];
  assert.deepEqual(precisionIdentity("float32", cpu), { precision: "float32" });
  assert.deepEqual(precisionIdentity("float16", gpu), { precision: "float16" });
  for (const precision of ["int8", "int8-blocks", "int4-lowrank", "int4"] as const) {
    const { version } = RECIPES[precision];
    assert.deepEqual(precisionIdentity(precision, cpu), { precision, quantizer: version });
  }
  const text = { precision: "int8-a16", quantizer: RECIPES["int8-a16"].version };
  assert.deepEqual(precisionIdentity("int8", cpu, true), text, "a text encoder keeps 16 bits of activations");
  const blocks = { precision: "int8-blocks", quantizer: RECIPES["int8-blocks"].version };
  for (const runsOnce of [false, true]) {
    assert.deepEqual(precisionIdentity("int8", gpu, runsOnce), blocks, "a GPU has no product of integers");
  }
});

Deno.test("embeddings of each precision are cached separately", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { models } = local;
    const executor = new InlineExecutor({
      runtime: new OnnxRuntimeNode({ threads: 1 }),
      models: {
        open: models.open.bind(models),
        component: models.component.bind(models),
        quantized: (component, precision, options) => openQuantized(component, precision, folder, options),
      },
    });
    const executors = [executor] as const;
    const store = new MemoryStore();
    const parameters = { prompt: { precision: "int8" } };
    const plain = await encode({ prompt: ["cute cat"] }, { store, executors });
    const quantized = await encode({ prompt: ["cute cat"] }, { store, executors, parameters });
    assert.deepEqual(quantized.ran, ["prompt"]);
    assert.notEqual(quantized.ids["prompt"], plain.ids["prompt"]);
    assert.deepEqual((await encode({ prompt: ["cute cat"] }, { store, executors, parameters })).ran, []);
    assert.deepEqual((await encode({ prompt: ["cute cat"] }, { store, executors })).ran, []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
