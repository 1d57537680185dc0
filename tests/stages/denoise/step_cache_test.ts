import assert from "node:assert/strict";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import type { PictureRequestInput } from "../../../graph/picture_request.ts";
import type { GraphDocumentInput } from "../../../graph/document.ts";
import { runGraph } from "../../../graph/run.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { localRun } from "../../../local.ts";
import type { BranchCache } from "../../../models/architecture.ts";
import { openComponent } from "../../../models/checkpoint/component.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import { relativeChange } from "../../../models/pixart/cached_step.ts";
import { PixArtTransformerConfig } from "../../../models/pixart/transformer_config.ts";
import { PixArtTransformer } from "../../../models/pixart/transformer_runner.ts";
import { createGenerator } from "../../../random/create_generator.ts";
import { deviceTraits } from "../../../runtime/device.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import { goldenPath } from "../../goldens.ts";

const TINY = goldenPath("checkpoints/tiny-alpha-512");
/** A threshold so large that the tiny checkpoint skips all steps after the first. */
const LARGE = 1;

const local = localRun({ threads: 1 });
const store = new MemoryStore();
const small: PictureRequestInput = {
  model: TINY,
  prompts: ["cute cat"],
  negativePrompt: "blurry",
  height: 64,
  width: 64,
  resolutionBinning: false,
  steps: 6,
  guidanceInterval: [0, 0.7],
};

/** Runs a graph, and returns the latents of a node, and their id. */
async function latentsOf(document: GraphDocumentInput, node = "denoise") {
  const made = await runGraph(document, { ...local, store, until: node });
  const { id, artifact } = made.get(`${node}.latents`)!;
  return { id, artifact, values: (artifact.tensors["latents"] as Tensor<"float32">).data };
}

/** Opens the tiny transformer with a step cache, and counts the opened segments. */
async function openCached(stepCache: number | undefined, residency: "stream" | "stage") {
  const component = await openComponent(await openDiskSource(TINY), { component: "transformer" });
  const config = PixArtTransformerConfig.parse(component.config);
  const opened: string[] = [];
  const transformer = PixArtTransformer.open(new OnnxRuntimeNode(), config, await component.weights(), {
    stepCache,
    residency,
    onLoad: ({ graph }) => opened.push(graph.replace(/^.*?\./, "")),
  });
  const embedding = createGenerator("torch-cpu", 1).randn(3 * config.text_channels);
  const text = await transformer.prepareText(tensor("float32", [3, config.text_channels], embedding));
  const shape = [1, config.in_channels, 16, 16];
  const noise = createGenerator("torch-cpu", 2).randn(config.in_channels * 256);
  const latents = tensor("float32", shape, noise);
  return { transformer, text, latents, opened };
}

Deno.test("relativeChange() divides the mean change by the mean earlier value", () => {
  assert.equal(relativeChange(Float32Array.of(1, -2), Float32Array.of(1, -2)), 0);
  assert.equal(relativeChange(Float32Array.of(2, -2), Float32Array.of(1, -3)), 0.5);
  assert.equal(relativeChange(Float32Array.of(0), Float32Array.of(0)), 0);
  assert.equal(relativeChange(Float32Array.of(1), Float32Array.of(0)), Infinity);
  assert.equal(relativeChange(Float32Array.of(1), Float32Array.of(1, 1)), Infinity);
});

Deno.test("weights of skipped blocks are not read, and the same input produces the same prediction", async () => {
  for (const residency of ["stream", "stage"] as const) {
    const plain = await openCached(undefined, residency);
    const { transformer, text, latents, opened } = await openCached(0.05, residency);
    await using _plain = plain.transformer;
    await using _cached = transformer;
    const wanted = await plain.transformer.predict({ latents, timestep: 500, text: plain.text });
    const cache: BranchCache = {};
    const whole = await transformer.predict({ latents, timestep: 500, text, cache });
    assert.deepEqual(whole.data, wanted.data, "all blocks run, with the bytes of a run without a cache");
    assert.ok(cache.residuals);
    const kept = cache.residuals;

    opened.length = 0;
    const again = await transformer.predict({ latents, timestep: 500, text, cache });
    const largest = Math.max(...again.data.map((value, i) => Math.abs(value - whole.data[i]!)));
    assert.ok(largest < 1e-5, `off by ${largest}`);
    assert.equal(cache.residuals, kept, "what is remembered is of the call that ran all blocks");
    assert.deepEqual(opened, residency === "stream" ? ["blocks.0-0", "final"] : []);

    opened.length = 0;
    await transformer.predict({ latents, timestep: 20, text, cache });
    assert.notEqual(cache.residuals, kept, "another timestep changes more than the threshold");
    assert.equal(opened.length, residency === "stream" ? 4 : 0);
  }
});

Deno.test("a step cache is off by default, changes the result, and does not depend on residency", async () => {
  const plain = await latentsOf(textToImage(small));
  const document = textToImage({ ...small, stepCache: LARGE });
  const cached = await latentsOf(document);
  assert.notEqual(cached.id, plain.id);
  assert.notDeepEqual(cached.values, plain.values);
  assert.equal(cached.artifact.metadata["stepCache"], LARGE);
  assert.equal(plain.artifact.metadata["stepCache"], undefined);
  const tiny = await latentsOf(textToImage({ ...small, stepCache: 1e-9 }));
  assert.deepEqual(tiny.values, plain.values, "nothing changes so little");
  const nodes = { ...document.nodes };
  nodes["denoise"] = { ...nodes["denoise"]!, residency: "stream" };
  const streamed = await runGraph({ ...document, nodes }, {
    ...local,
    store: new MemoryStore(),
    until: "denoise",
  });
  assert.equal(streamed.get("denoise.latents")!.id, cached.id);
});

Deno.test("a run with a step cache resumes from any step to the same bytes, and only with the same cache", async () => {
  const { nodes } = textToImage({ ...small, stepCache: LARGE });
  const { id } = await latentsOf({ pixstage: 1, nodes });
  const whole = nodes["denoise"]!;
  const part = { stage: "denoise-part", inputs: whole.inputs! };
  for (const stopAfter of [1, 2, 3, 4, 5]) {
    const begin = { ...part, parameters: { ...whole.parameters, stopAfter } };
    const rest = { ...whole, inputs: { checkpoint: "begin.checkpoint" } };
    const resumed = await latentsOf({ pixstage: 1, nodes: { ...nodes, begin, rest } }, "rest");
    assert.equal(resumed.id, id, `stopped after ${stopAfter}`);
    if (stopAfter !== 3) continue;
    const { stepCache: _cache, ...parameters } = whole.parameters ?? {};
    await assert.rejects(
      latentsOf({ pixstage: 1, nodes: { ...nodes, begin, rest: { ...rest, parameters } } }, "rest"),
      /stepCache must be 1, but its current value is null/,
    );
  }
});

Deno.test("the plan includes the memory of a step cache", async () => {
  const checkpoint = await local.models.open({ model: TINY });
  const model = await checkpoint.architecture.denoiser(checkpoint, await checkpoint.component("transformer"));
  const weights = await model.component.weights();
  const [plain, cached] = [false, true].map((cachesSteps) => {
    const job = { guided: true, bothBranches: true, cachesSteps, promptTokens: 9, negativeTokens: 1 };
    const size = { renderSize: { height: 512, width: 512 } };
    const request = { traits: deviceTraits("cpu"), precision: "float32" } as const;
    return model.memory(weights, { ...job, ...size }, request)[0]!.peakBytes;
  });
  // 1024 rows of 48 float32 channels, five arrays for each of two branches.
  assert.equal(cached! - plain!, 2 * 5 * 1024 * 48 * 4);
});

Deno.test("a threshold that is not a fraction is refused", () => {
  for (const stepCache of [0, -1, 1.5, NaN]) {
    assert.throws(() => textToImage({ ...small, stepCache }), /stepCache/);
  }
});
