import assert from "node:assert/strict";
import type { Tensor } from "../../../artifacts/tensor.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { localRun } from "../../../local.ts";
import { allSchedulers, createScheduler, schedulerConfig } from "../../../schedulers/mod.ts";
import { beginFromPicture } from "../../../stages/denoise/picture.ts";
import { goldenJson, goldenPath } from "../../goldens.ts";
import { fromPictureCases, matchGraph } from "./from_picture_cases.ts";
import { inputPath } from "./picture_goldens.ts";
import { goesOn, image, mask, model, output, small } from "./small_run.ts";

const code = (code: string, field?: string) => (error: { code: string; field?: string }) => {
  assert.equal(error.code, code);
  assert.equal(error.field, field);
  return true;
};

Deno.test("runs from pictures match the reference in the fast cases", async () => {
  const find = (part: "img2img" | "inpaint", id: string) =>
    fromPictureCases(part).find((golden) => golden.id === id)!;
  await matchGraph("img2img", find("img2img", "a512-06-euler-0.5"));
  await matchGraph("inpaint", find("inpaint", "lcm-14-0.5"));
});

Deno.test("strength takes the same last steps as the reference", async () => {
  const { kept, rows } = goldenJson<{
    kept: {
      class: string;
      overrides: Record<string, never>;
      steps: number;
      strength: number;
      first: number;
      kept: number[];
    }[];
    rows: [steps: number, strength: number, kept: number][];
  }>("extras/img2img/strength.json");
  assert.deepEqual([kept.length, rows.length], [21, 231]);
  const { config: own } = await (await localRun().models.open({ model })).scheduler();
  const known = kept.filter((golden) => allSchedulers().some(({ name }) => name === golden.class));
  assert(known.length >= 18, `${known.length}`);
  for (const golden of known) {
    const config = schedulerConfig(golden.class, own, golden.overrides);
    const scheduler = createScheduler(golden.class, config, { steps: golden.steps });
    const { begin } = beginFromPicture(golden.strength, { isMasked: false }, golden.steps, scheduler);
    assert.equal(begin, golden.first, golden.class);
    const far = scheduler.timesteps.slice(begin).findIndex((step, i) =>
      Math.abs(step - golden.kept[i]!) > 0.01
    );
    assert.equal(far, -1, golden.class);
    assert.equal(scheduler.timesteps.length - begin, golden.kept.length);
  }
  for (const [steps, strength, wanted] of rows) {
    const scheduler = createScheduler("euler", {}, { steps });
    const take = () => beginFromPicture(strength, { isMasked: false }, steps, scheduler).begin;
    if (wanted === 0) assert.throws(take, code("out_of_range", "strength"));
    else assert.equal(steps - take(), wanted, `${steps} ${strength}`);
  }
});

Deno.test("an interrupted run from a picture with a mask resumes to the same bytes", async () => {
  await goesOn("euler_a", { image, mask });
});

Deno.test("black areas of a mask are kept, and white areas do not depend on the picture's latents", async () => {
  const request = { ...small, prompts: ["cute cat"], scheduler: "ddim", seeds: [5] };
  const black = { file: inputPath("mask-black-64x64") };
  const { latents } = await output(textToImage(request, { image, mask: black }), "denoise.latents");
  const picture = await output(textToImage(request, { image }), "picture.latents");
  const { deviation } = picture.artifact.tensors as { deviation: Tensor<"float32"> };
  const largest = latents.data.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - picture.latents.data[i]!) / deviation.data[i]!),
    0,
  );
  // Only the sampling of the latents differs from the picture's mode.
  assert(largest < 6, `${largest}`);
});

Deno.test("an impossible run from a picture is refused before weights are read", async () => {
  const request = { ...small, prompts: ["cute cat"] };
  const run = async (fields: object, pictures: object = { image }) =>
    await output(textToImage({ ...request, ...fields }, pictures), "denoise.latents");
  await assert.rejects(run({ strength: -0.1 }), code("invalid_value", "strength"));
  await assert.rejects(run({ strength: 1.5 }), code("invalid_value", "strength"));
  await assert.rejects(run({ strength: 0 }), code("out_of_range", "strength"));
  await assert.rejects(run({ steps: 4, strength: 0.2 }), code("out_of_range", "strength"));
  await assert.rejects(run({ steps: 4, strength: 0.2 }, { image, mask }), code("out_of_range", "strength"));
  await assert.rejects(run({ seeds: [1, 2, 3] }), code("invalid_value", "seeds"));
  await assert.rejects(run({ height: 60 }), code("out_of_range", "height"));
  await assert.rejects(
    run({ scheduler: "pndm", steps: 12, schedulerOptions: { skip_prk_steps: false } }),
    code("invalid_value", "scheduler"),
  );
  await assert.rejects(
    run({}, { image: { file: goldenPath("extras/inputs/manifest.json") } }),
    /safetensors/,
  );
  assert.throws(() => textToImage(request, { mask }), code("invalid_value", "mask"));
  assert.throws(
    () => textToImage({ ...request, softMask: true }, { image }),
    code("invalid_value", "softMask"),
  );
  assert.throws(
    () => textToImage({ model }, { image, latentsFile: "l.safetensors" }),
    code("invalid_value", "image"),
  );
});
