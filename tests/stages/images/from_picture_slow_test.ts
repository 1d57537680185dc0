import assert from "node:assert/strict";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { listSchedulers } from "../../../schedulers/mod.ts";
import { fromPictureCases, isSingle, matchGraph, matchSteps } from "./from_picture_cases.ts";
import { inputPath, pictureCases } from "./picture_goldens.ts";
import { goesOn, image, mask, model, output, small } from "./small_run.ts";

for (const [part, count] of [["img2img", 37], ["inpaint", 38]] as const) {
  Deno.test(`the reference has ${count} cases of ${part}`, () =>
    assert.equal(pictureCases(part).length, count));

  for (const golden of fromPictureCases(part)) {
    Deno.test(`every step of ${part} matches the reference: ${golden.id}`, () => matchSteps(part, golden));
    if (!isSingle(golden)) continue;
    Deno.test(`the graph of ${part} matches the reference: ${golden.id}`, () => matchGraph(part, golden));
  }
}

for (const { name } of listSchedulers()) {
  // Its Runge-Kutta start cannot start in the middle of a schedule.
  if (name === "PNDMScheduler") continue;
  Deno.test(`a run from a picture resumes to the same bytes: ${name}`, async () => {
    await goesOn(name, { image });
    await goesOn(name, { image, mask });
  });
}

Deno.test("an image in a batch is the same as alone, and several source pictures take turns", async () => {
  const request = { ...small, prompts: ["a cat", "a boat"], scheduler: "euler_a", strength: 0.5, seeds: [7] };
  const { latents } = await output(textToImage(request, { image }), "denoise.latents");
  const alone = await output(
    textToImage({ ...request, prompts: ["a boat"], seeds: [8] }, { image }),
    "denoise.latents",
  );
  assert.deepEqual(latents.data.slice(latents.data.length / 2), alone.latents.data);

  const store = new MemoryStore();
  const other = { file: inputPath("scene-64x64") };
  const encoded = await Promise.all(
    [image, other].map((image) => output(textToImage(request, { image }), "picture.latents", store)),
  );
  const both = (name: string) => {
    const parts = encoded.map(({ artifact }) => artifact.tensors[name] as Tensor<"float32">);
    const data = Float32Array.from(parts.flatMap(({ data }) => [...data]));
    return tensor("float32", [2, ...parts[0]!.shape.slice(1)], data);
  };
  const tensors = { latents: both("latents"), deviation: both("deviation") };
  const artifact = await store.put({ kind: "latents", tensors, metadata: encoded[0]!.artifact.metadata });
  const { picture: _picture, ...nodes } = textToImage(request, { image }).nodes;
  const denoise = { ...nodes["denoise"]!, inputs: { ...nodes["denoise"]!.inputs, image: { artifact } } };
  const turns = await output({ pixstage: 1, nodes: { ...nodes, denoise } }, "denoise.latents", store);
  const second = await output(
    textToImage({ ...request, prompts: ["a boat"], seeds: [8] }, { image: other }),
    "denoise.latents",
  );
  assert.deepEqual(
    turns.latents.data.slice(0, latents.data.length / 2),
    latents.data.slice(0, latents.data.length / 2),
  );
  assert.deepEqual(turns.latents.data.slice(latents.data.length / 2), second.latents.data);
  // Two pictures for one prompt, and for three.
  for (const prompts of [["a"], ["a", "b", "c"]]) {
    const wrong = { ...nodes, prompt: { stage: "encode", parameters: { model, prompts } }, denoise };
    const run = output({ pixstage: 1, nodes: wrong }, "denoise.latents", store);
    await assert.rejects(run, { code: "invalid_artifact", field: "image" });
  }
});
