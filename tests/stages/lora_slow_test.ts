import assert from "node:assert/strict";
import { loraCases } from "./lora_cases.ts";
import { holdRuns } from "./lora_runs.ts";

Deno.test("every reference run with LoRAs matches at every step", async () => {
  const compared = await holdRuns(loraCases);
  assert.equal(compared.runs, 26);
  assert(compared.calls >= 26 && compared.steps >= 80 && compared.images >= 20, JSON.stringify(compared));
});
