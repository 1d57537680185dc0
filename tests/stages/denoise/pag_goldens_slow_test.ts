import assert from "node:assert/strict";
import { type ExtraCase, ExtraGoldens } from "../extra_goldens.ts";
import { pagRequest } from "./pag_case.ts";

const goldens = new ExtraGoldens<ExtraCase>("pag");

Deno.test("the reference of perturbed attention guidance has 20 cases", () => {
  assert.equal(goldens.cases.length, 20);
});

for (const golden of goldens.cases) {
  Deno.test(`perturbed attention guidance matches the reference: ${golden.id}`, async () => {
    await goldens.match(golden, { request: pagRequest(golden) });
  });
}
