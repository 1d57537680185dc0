import assert from "node:assert/strict";
import { fromPictureCases, isSingle, matchGraph, matchSteps } from "./from_picture_cases.ts";
import { pictureCases } from "./picture_goldens.ts";

for (const [part, count] of [["img2img", 37], ["inpaint", 38]] as const) {
  Deno.test(`the reference has ${count} cases of ${part}`, () =>
    assert.equal(pictureCases(part).length, count));

  for (const golden of fromPictureCases(part)) {
    Deno.test(`every step of ${part} matches the reference: ${golden.id}`, () => matchSteps(part, golden));
    if (!isSingle(golden)) continue;
    Deno.test(`the graph of ${part} matches the reference: ${golden.id}`, () => matchGraph(part, golden));
  }
}
