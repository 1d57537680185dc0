import assert from "node:assert/strict";
import { controlGoldens, matchControl } from "./control_case.ts";

Deno.test("the reference of ControlNet has 13 cases", () => {
  assert.equal(controlGoldens.cases.length, 13);
});

for (const golden of controlGoldens.cases) {
  Deno.test(`ControlNet matches the reference: ${golden.id}`, () => matchControl(golden));
}
