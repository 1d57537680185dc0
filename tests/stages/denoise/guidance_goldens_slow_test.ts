import assert from "node:assert/strict";
import { ExtraGoldens } from "../extra_goldens.ts";

const goldens = new ExtraGoldens("guidance");

Deno.test("the reference of guidance in a part of the steps has 16 cases", () => {
  assert.equal(goldens.cases.length, 16);
});

for (const golden of goldens.cases) {
  Deno.test(`guidance in a part of the steps matches the reference: ${golden.id}`, async () => {
    const { guidance_interval } = golden;
    await goldens.match(golden, guidance_interval && { request: { guidanceInterval: guidance_interval } });
  });
}
