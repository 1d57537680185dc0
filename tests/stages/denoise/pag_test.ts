import assert from "node:assert/strict";
import { unpackEmbeddings } from "../../../artifacts/embeddings.ts";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import type { Tensor } from "../../../artifacts/tensor.ts";
import type { RunEvent } from "../../../graph/events.ts";
import type { PictureRequestInput } from "../../../graph/picture_request.ts";
import { runGraph } from "../../../graph/run.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { localRun } from "../../../local.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import { pagParameters, resolvePag } from "../../../stages/denoise/perturbed_attention.ts";
import { openDenoiser } from "../../../stages/denoise/settings.ts";
import { goldenJson, goldenPath } from "../../goldens.ts";
import { fc } from "../../random.ts";
import { ExtraGoldens } from "../extra_goldens.ts";
import { caseRequest } from "../golden_cases.ts";
import { pagRequest } from "./pag_case.ts";

const local = localRun({ threads: 1 });
const store = new MemoryStore();
const goldens = new ExtraGoldens("pag");
const small: PictureRequestInput = {
  model: goldenPath("checkpoints/tiny-alpha-512"),
  prompts: ["cute cat"],
  height: 64,
  width: 64,
  resolutionBinning: false,
  steps: 4,
};

async function denoise(request: Partial<PictureRequestInput>, residency?: "stream") {
  const events: RunEvent[] = [];
  const made = await runGraph(textToImage({ ...small, ...request }), {
    ...local,
    store: residency ? new MemoryStore() : store,
    ...(residency ? { residency: { denoise: residency } } : {}),
    until: "denoise",
    onEvent: (event) => events.push(event),
  });
  const { id, artifact } = made.get("denoise.latents")!;
  const warnings = events.flatMap((event) => event.type === "warning" ? [event.message] : []);
  return { id, artifact, warnings };
}

/** Returns the names of the self-attentions in a transformer with that many blocks. */
const names = (depth: number) =>
  Array.from({ length: depth }, (_, block) => `transformer_blocks.${block}.attn1`);

Deno.test("patterns match the same blocks as in diffusers, and those without a match are refused", () => {
  const { layers } = goldenJson<
    { layers: { depth: number; applied_layers: string | string[]; blocks?: number[]; raises?: string }[] }
  >("extras/pag/layers.json");
  assert.equal(layers.length, 46);
  for (const { depth, applied_layers, blocks, raises } of layers) {
    const pagLayers = [applied_layers].flat();
    const find = () => resolvePag({ pagScale: 3, pagLayers }, names(depth))?.layers ?? [];
    if (raises === "ValueError") assert.throws(find, /No self-attention has a name that matches/);
    else if (raises) assert.equal(pagParameters.pagLayers.safeParse(pagLayers).success, false);
    else {
      assert.ok(pagParameters.pagLayers.safeParse(pagLayers).success, String(pagLayers));
      assert.deepEqual(find(), blocks!.map((block) => names(depth)[block]), String(pagLayers));
    }
  }
});

Deno.test("patterns that could be slow are refused, and no other is slow", () => {
  for (const bad of ["(a+)+$", "((.+)+)+!", ".*.*.*.*!", "(?=a)", "(a)\\1", "(", "[", "x".repeat(65), ""]) {
    assert.equal(pagParameters.pagLayers.safeParse([bad]).success, false, bad);
  }
  const part = fc.constantFrom(
    ".",
    "*",
    "+",
    "?",
    "(",
    ")",
    "|",
    "[a-z]",
    "\\.",
    "t",
    "1",
    "{1,9}",
    "$",
    "^",
  );
  fc.assert(fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
    const pagLayers = [parts.join("")];
    if (!pagParameters.pagLayers.safeParse(pagLayers).success) return;
    const start = performance.now();
    try {
      resolvePag({ pagScale: 1, pagLayers }, names(28));
    } catch {
      // The pattern matches nothing.
    }
    assert.ok(performance.now() - start < 1000, pagLayers[0]);
  }));
});

Deno.test("the perturbed prediction matches the reference", async () => {
  const golden = goldens.cases[0]!;
  const request = { ...caseRequest(golden), ...pagRequest(golden) };
  const { nodes } = textToImage(request);
  const encoded = await runGraph({
    pixstage: 1,
    nodes: { prompt: nodes["prompt"]!, negative: nodes["negative"]! },
  }, {
    ...local,
    store,
  });
  const [prompt, negative] = ["prompt", "negative"].map((name) =>
    unpackEmbeddings(encoded.get(`${name}.embeddings`)!.artifact).prompts[0]!
  );
  const { model } = await openDenoiser({ model: request.model }, local.models);
  const { layers } = resolvePag({ pagScale: 3, pagLayers: request.pagLayers }, model.selfAttentions)!;
  const renderSize = { height: request.height!, width: request.width! };
  await using denoiser = await model.open(
    new OnnxRuntimeNode({ threads: 1 }),
    await model.component.weights(),
    {
      precision: "float32",
      bothBranches: false,
      perturbable: layers,
      renderSize,
    },
  );
  const stored = goldens.tensors(golden);
  const latents = stored["initial_noise"] as Tensor<"float32">;
  const timestep = Number(stored["timesteps"]!.data[0]);
  const [u, c] = [await denoiser.prepareText(negative!), await denoiser.prepareText(prompt!)];
  const rows = await denoiser.predictEach([
    { latents, timestep, text: u, renderSize },
    { latents, timestep, text: c, renderSize },
    { latents, timestep, text: c, renderSize, perturbed: true },
  ]);
  goldens.hold(golden, "model_output_first", Float32Array.from(rows.flatMap(({ data }) => [...data])));
});

Deno.test("scale 0 and an empty list of layers turn it off, and options without effect cause warnings", async () => {
  const plain = await denoise({});
  assert.equal((await denoise({ pagScale: 0 })).id, plain.id);
  assert.equal((await denoise({ pagScale: 3, pagLayers: [] })).id, plain.id);
  const told = await denoise({ pagLayers: ["blocks.0"], pagAdaptiveScale: 0.01 });
  assert.equal(told.id, plain.id);
  assert.deepEqual(told.warnings, ["pagLayers has no effect without a pagScale above 0"]);
});

Deno.test("streamed weights support it, and an interrupted run resumes to the same bytes", async () => {
  const request = { pagScale: 3, pagAdaptiveScale: 0.005, guidanceInterval: [0, 0.5] as [number, number] };
  const { id } = await denoise(request);
  assert.equal((await denoise(request, "stream")).id, id);
  const { nodes } = textToImage({ ...small, ...request });
  const whole = nodes["denoise"]!;
  const begin = { ...whole, stage: "denoise-part", parameters: { ...whole.parameters, stopAfter: 2 } };
  const inputs = { checkpoint: "begin.checkpoint" };
  const run = (parameters: object) =>
    runGraph(
      {
        pixstage: 1,
        nodes: {
          ...nodes,
          begin,
          rest: { ...whole, parameters: { ...whole.parameters, ...parameters }, inputs },
        },
      },
      { ...local, store, until: "rest" },
    );
  assert.equal((await run({})).get("rest.latents")!.id, id);
  await assert.rejects(run({ pagScale: 2 }), /pag must be .*allowChanges/);
});

for (const golden of goldens.cases.filter(({ id }) => id === "a1024-20-adaptive")) {
  Deno.test(`perturbed attention guidance matches the reference: ${golden.id}`, async () => {
    await goldens.match(golden, { request: pagRequest(golden) });
  });
}
