import assert from "node:assert/strict";
import { serving } from "./serving.ts";

const TINY = { model: "tiny" };
const DENOISE = { ...TINY, steps: 2, guidanceScale: 1 };

const latents = (shape: readonly unknown[]) => ({
  latents: { kind: "latents", metadata: {}, shapes: { latents: shape } },
});
const embeddings = (images: unknown, tokens: unknown) => ({
  embeddings: {
    kind: "embeddings",
    metadata: {},
    shapes: { prompt_embeds: [images, 120, 32], prompt_attention_mask: [images, 120] },
    tokens: [tokens],
  },
});

Deno.test("prepare refuses outlines that the stage's ports do not take, and sizes without a plan", async () => {
  await using server = await serving();
  for (
    const [stage, parameters, inputs, code, param] of [
      ["decode", TINY, latents([1, 4, 0, 0]), "out_of_range", "inputs.latents.shapes.latents"],
      ["decode", TINY, latents([1, 4, 2 ** 40, 8]), "out_of_range", "inputs.latents.shapes.latents"],
      ["decode", TINY, latents([1, 4, 1e200, 1e200]), "invalid_value", "inputs.latents.shapes.latents.2"],
      ["decode", TINY, latents([1, 4, 8.5, 8]), "invalid_value", "inputs.latents.shapes.latents.2"],
      ["decode", TINY, latents(Array(17).fill(1)), "invalid_value", "inputs.latents.shapes.latents"],
      ["denoise", DENOISE, embeddings(1, 1e308), "invalid_value", "inputs.embeddings.tokens.0"],
      ["denoise", DENOISE, embeddings(1, 2 ** 40), "out_of_range", "inputs.embeddings.tokens"],
      ["denoise", DENOISE, embeddings(1e300, 8), "invalid_value", "inputs.embeddings.shapes.prompt_embeds.0"],
      ["denoise", DENOISE, embeddings(2 ** 24, 8), "invalid_value", "parameters.imagesPerPrompt"],
      ["decode", TINY, {}, "missing_input", "inputs.latents"],
      ["encode-image", TINY, {}, "missing_input", "inputs.image"],
      ["upscale-latents", { ...TINY, factor: 2 }, {}, "missing_input", "inputs.latents"],
      ["pair", {}, {}, "missing_input", "inputs.positive"],
      ["decode", TINY, { ...latents([1, 4, 8, 8]), picture: {} }, "unknown_port", "inputs.picture"],
      [
        "decode",
        TINY,
        { latents: { kind: "mask", metadata: {}, shapes: {} } },
        "kind_mismatch",
        "inputs.latents",
      ],
    ] as const
  ) {
    const reply = await server.post(`/v1/stages/${stage}/prepare`, { parameters, inputs });
    const { error } = await reply.json();
    assert.deepEqual([reply.status, error?.code], [400, code], `${stage}: ${JSON.stringify(error)}`);
    if (param !== "parameters.imagesPerPrompt") assert.equal(error.param, param);
  }
  const fine = await server.post("/v1/stages/decode/prepare", {
    parameters: TINY,
    inputs: latents([1, 4, 8, 8]),
  });
  assert.equal(fine.status, 200, await fine.text());
});
