import assert from "node:assert/strict";
import { loraCases } from "./lora_cases.ts";
import { holdRuns } from "./lora_runs.ts";

/**
 * One case of each kind: all layers, Σ, patterns, kohya's names, two adapters, a weight. The slow test runs
 * all cases.
 */
const QUICK = /^(02|05|08|19|24|26)-/;

Deno.test("one reference run with LoRAs of each kind matches at every step", async () => {
  const compared = await holdRuns(loraCases.filter(({ id }) => QUICK.test(id)));
  assert.equal(compared.runs, 6);
  assert(compared.steps >= 20, JSON.stringify(compared));
});
