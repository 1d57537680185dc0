import assert from "node:assert/strict";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import { open } from "../../local.ts";
import { goldenPath } from "../goldens.ts";

const model = goldenPath("checkpoints/tiny-alpha-512");
const REQUEST = { width: 64, height: 64, resolutionBinning: false, steps: 2, prompt: "cat" };

Deno.test("generate() respects a signal and listeners in the request and in the options together", async () => {
  await using pix = await open({ model, store: new MemoryStore(), threads: 1 });
  const heard = new Set<string>();
  const request = { ...REQUEST, onStep: () => heard.add("step") };
  await pix.generate(request, { onEvent: ({ type }) => type === "done" && heard.add("done") });
  assert.deepEqual([...heard], ["step", "done"]);

  // An option without a value replaces nothing, and one with a value does.
  heard.clear();
  await pix.generate({ ...request, seed: 1 }, { onStep: undefined });
  assert.deepEqual([...heard], ["step"]);
  heard.clear();
  await pix.generate({ ...request, seed: 2 }, { onStep: () => heard.add("option") });
  assert.deepEqual([...heard], ["option"]);

  const reason = new Error("enough");
  const stopped = { ...request, seed: 3, signal: AbortSignal.abort(reason) };
  await assert.rejects(pix.generate(stopped, { onEvent: () => {} }), reason);
});

Deno.test("a limit of memory that is no number of bytes is refused", async () => {
  await using pixstage = await open({ store: false });
  for (const maxMemory of [NaN, Infinity]) {
    await assert.rejects(pixstage.plan({ prompt: "cat", maxMemory }), { code: "invalid_value" });
  }
});
