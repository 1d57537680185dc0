import assert from "node:assert/strict";
import { ExtraGoldens } from "../extra_goldens.ts";
import { type FromPictureCase, matchGraph, matchSteps } from "../images/from_picture_cases.ts";
import { pictureCases } from "../images/picture_goldens.ts";

const goldens = new ExtraGoldens("schedulers");
const fromNoise = goldens.cases.filter(({ call }) => !("images" in call));
const fromPictures = pictureCases<FromPictureCase>("schedulers").filter(({ call }) => "images" in call);

for (const golden of fromNoise) {
  Deno.test(`runs of more schedulers match the reference: ${golden.id}`, () => goldens.match(golden));
}

for (const golden of fromPictures) {
  Deno.test(`runs of more schedulers from a picture match the reference: ${golden.id}`, async () => {
    await matchSteps("schedulers", golden);
    await matchGraph("schedulers", golden);
  });
}

Deno.test("all runs of more schedulers are recorded", () => {
  assert.deepEqual([fromNoise.length, fromPictures.length], [10, 4]);
});
