import assert from "node:assert/strict";
import { join } from "node:path";
import type { StageRecord } from "../../artifacts/store/stage_record.ts";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import type { RunEvent } from "../../graph/events.ts";
import type { Executor } from "../../graph/executors/executor.ts";
import { HttpExecutor } from "../../graph/executors/http.ts";
import { InlineExecutor } from "../../graph/executors/inline.ts";
import { runGraph } from "../../graph/run.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { ListedModels } from "../../hub/listed_models.ts";
import { LocalModels } from "../../hub/local_models.ts";
import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
import { builtInStages } from "../../stages/mod.ts";
import { goldenPath } from "../goldens.ts";
import { withCopy } from "../models/checkpoint/copies.ts";
import { MODELS, serving } from "./serving.ts";

/** A store that records the key of each stage's result. */
class KeyedStore extends MemoryStore {
  readonly keys = new Map<string, string>();

  override keepResult(key: string, record: StageRecord): Promise<void> {
    this.keys.set(record.stage, key);
    return super.keepResult(key, record);
  }
}

const graph = textToImage({
  model: "tiny",
  prompts: ["cute cat"],
  seeds: [3],
  steps: 4,
  width: 64,
  height: 64,
});

async function run(executors: readonly [Executor, ...Executor[]], placement: Record<string, string> = {}) {
  const events: RunEvent[] = [];
  const store = new KeyedStore();
  const made = await runGraph(graph, {
    registry: builtInStages(),
    executors,
    placement,
    store,
    previews: true,
    onEvent: (event) => events.push(event),
  });
  return { id: made.get("decode.image")!.id, keys: store.keys, events };
}

Deno.test("a run on two servers from a machine without a model stores results under the servers' keys", async () => {
  // 1. The run uses no executor of this machine, so nothing here can open a checkpoint.
  await using one = await serving();
  await using other = await serving();
  const spread = await run([new HttpExecutor(one.url), new HttpExecutor(other.url)], { denoise: other.url });
  assert.equal(spread.events.filter(({ type }) => type === "preview").length, 4);

  // 2. The same weights on the same kind of device produce the same keys and bytes here.
  const local = await run([
    new InlineExecutor({
      models: new ListedModels(MODELS, new LocalModels()),
      runtime: new OnnxRuntimeNode({ threads: 1 }),
    }),
  ]);
  assert.equal(spread.id, local.id);
  assert.deepEqual([...spread.keys].sort(), [...local.keys].sort());

  // 3. Other weights under the same name produce different ones.
  const reference = goldenPath("checkpoints/tiny-lcm");
  await using third = await serving({ models: [{ name: "tiny", reference }] });
  const different = await run([new HttpExecutor(third.url)]);
  assert.notEqual(different.id, local.id);
  for (const [stage, key] of different.keys) assert.notEqual(key, local.keys.get(stage), stage);
});

Deno.test("a single other bit of a server's weights gives the results of their stage other keys", async () => {
  await withCopy(goldenPath("checkpoints/tiny-alpha-512"), async (copy) => {
    const path = join(copy, "transformer/diffusion_pytorch_model.safetensors");
    const weights = await Deno.readFile(path);
    const middle = weights.length >> 1;
    await Deno.writeFile(path, weights.with(middle, weights[middle]! ^ 0x20));
    await using one = await serving();
    await using other = await serving({ models: [{ name: "tiny", reference: copy }] });
    const [original, changed] = await Promise.all(
      [one, other].map(({ url }) => run([new HttpExecutor(url)])),
    );
    assert.equal(changed!.keys.get("encode"), original!.keys.get("encode"));
    assert.notEqual(changed!.keys.get("denoise"), original!.keys.get("denoise"));
    assert.notEqual(changed!.id, original!.id);
  });
});
