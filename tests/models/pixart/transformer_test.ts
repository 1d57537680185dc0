import assert from "node:assert/strict";
import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import { isShortText } from "../../../models/pixart/absorbed_attention.ts";
import { PixArtTransformer } from "../../../models/pixart/transformer_runner.ts";
import { pixartStepSegments, pixartTextGraph } from "../../../models/pixart/transformer.ts";
import { PixArtTransformerConfig } from "../../../models/pixart/transformer_config.ts";
import { positionEmbedding } from "../../../models/pixart/position_embedding.ts";
import { SegmentedModel } from "../../../models/segments.ts";
import { T5EncoderConfig } from "../../../models/t5/encoder_config.ts";
import { T5Encoder } from "../../../models/t5/encoder_runner.ts";
import { timestepEmbedding } from "../../../models/pixart/timestep_embedding.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import type { Runtime, RuntimeTraits } from "../../../runtime/runtime.ts";
import {
  assertNear,
  type Case,
  openTiny,
  readCases,
  readProbes,
  realTokens,
  rows,
  TINY_CHECKPOINTS,
} from "../tiny_checkpoints.ts";

const runtime = new OnnxRuntimeNode();
const LIMITS = { maxAbs: 2e-5, relL2: 5e-6 };

async function openTransformer(checkpoint: string, variant = "") {
  const component = await openTiny(checkpoint, "transformer", variant);
  return { config: PixArtTransformerConfig.parse(component.config), weights: await component.weights() };
}

/** Encodes the texts of a case in the order of the transformer's rows: the unconditional branch first. */
async function encodeTexts(run: Case, images: number): Promise<Tensor<"float32">[]> {
  const component = await openTiny(run.checkpoint, "text_encoder", run.load.variant);
  await using encoder = await T5Encoder.open(
    runtime,
    T5EncoderConfig.parse(component.config),
    await component.weights(),
  );
  const texts: Tensor<"float32">[] = [];
  for (const which of ["negative", "prompt"] as const) {
    const prompts = run.tensors[`${which}_input_ids`]?.shape[0] ?? 0;
    for (let prompt = 0; prompt < prompts; prompt++) {
      const text = await encoder.encode(realTokens(run, which, prompt));
      for (let image = 0; image < images / prompts; image++) texts.push(text);
    }
  }
  return texts;
}

/** Returns the input latents of a call, [images, channels, h, w]. */
function callInput(run: Case, call: number): Tensor<"float32"> {
  const stored = run.tensors.model_input as Tensor<"float32"> | undefined;
  if (stored === undefined && call === 0) return run.tensors.latents_init as Tensor<"float32">;
  const { shape, data } = stored
    ? rows(stored, call)
    : rows(run.tensors.latents as Tensor<"float32">, call - 1);
  return tensor("float32", shape.slice(1), data);
}

Deno.test("PixArtTransformer reproduces the reference's output of every stored call from its stored inputs", async () => {
  const cases = await readCases(({ tensors }) => "calls" in (tensors.model_output ?? {}));
  assert(cases.length >= 8, `${cases.length}`);
  for (const run of cases) {
    const { config, weights } = await openTransformer(run.checkpoint, run.load.variant);
    await using transformer = PixArtTransformer.open(runtime, config, weights);
    const golden = run.tensors.model_output as Tensor<"float32">;
    const images = run.tensors.initial_noise!.shape[0]!;
    const texts = await encodeTexts(run, images);
    assert.equal(texts.length, golden.shape[1]);
    const prepared = await Promise.all(texts.map((text) => transformer.prepareText(text)));
    const resolution = run.tensors.resolution as Tensor<"float32"> | undefined;
    const renderSize = resolution && { height: resolution.data[0]!, width: resolution.data[1]! };

    for (const [index, call] of run.entries.model_output!.calls!.entries()) {
      const latents = callInput(run, call);
      const timestep = Number(run.tensors.transformer_timestep!.data[call]);
      const expected = rows(golden, index);
      const actual = new Float32Array(expected.data.length);
      for (const [row, text] of prepared.entries()) {
        const sample = await transformer.predict({
          latents: rows(latents, row % images),
          timestep,
          text,
          renderSize,
        });
        assert.deepEqual(sample.shape, [1, ...golden.shape.slice(2)]);
        actual.set(sample.data, row * sample.data.length);
      }
      assertNear(actual, expected.data, LIMITS, `${run.id}: call ${call}`);
    }
  }
});

Deno.test("PixArt activations match the reference after every sublayer", async () => {
  for (const checkpoint of TINY_CHECKPOINTS) {
    const { entries, tensors, run } = await readProbes(checkpoint);
    const { config, weights } = await openTransformer(checkpoint);
    const exposed = () => true;
    await using text = await SegmentedModel.open(runtime, [pixartTextGraph(config, weights, { exposed })]);
    await using step = await SegmentedModel.open(runtime, pixartStepSegments(config, weights, { exposed }));

    const latents = callInput(run, 0);
    const [, , height, width] = latents.shape as [number, number, number, number];
    const resolution = run.tensors.resolution as Tensor<"float32"> | undefined;
    const { columns, ...position } = positionEmbedding(height / 2, width / 2, {
      width: config.num_attention_heads * config.attention_head_dim,
      baseSize: config.sample_size / 2,
      interpolationScale: config.interpolation_scale,
    });
    const branches = await Promise.all((await encodeTexts(run, 1)).map(async (embeddings) => {
      const { caption_projection, ...keysAndValues } = await text.run({ encoder_hidden_states: embeddings });
      const values = await step.run({
        ...keysAndValues,
        ...(resolution
          ? {
            resolution: timestepEmbedding([...rows(resolution, 0).data]),
            aspect_ratio: timestepEmbedding([(run.tensors.aspect_ratio as Tensor<"float32">).data[0]!]),
          }
          : {}),
        latents,
        timestep: timestepEmbedding([Number(run.tensors.transformer_timestep!.data[0])]),
        position_columns: columns,
        position_rows: position.rows,
      });
      return { ...values, caption_projection };
    }));

    let compared = 0;
    for (const [name, entry] of Object.entries(entries)) {
      const probe = name.replace("transformer/", "");
      if (probe === name || !(probe in branches[0]!)) continue;
      const part = (
        branch: Record<string, Tensor | undefined>,
      ) => [...(branch[probe] as Tensor<"float32">).data];
      // The caption projection is stored only for the prompt, everything else for both branches.
      const actual = probe === "caption_projection" ? part(branches.at(-1)!) : branches.flatMap(part);
      const golden = tensors[name] as Tensor<"float32">;
      assertNear(actual, golden.data, { relL2: 5e-5 }, `${checkpoint}: ${name}`, entry.sample);
      compared++;
    }
    assert.equal(compared, 5 + 4 * config.num_layers);
  }
});

Deno.test("PixArtTransformer produces the same bytes for every segmentation and residency", async () => {
  const { config, weights } = await openTransformer("tiny-alpha-512");
  const wave = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * i));
  const inputs = { latents: tensor("float32", [1, 4, 6, 8], wave(192)), timestep: 321 };
  const embeddings = tensor("float32", [5, 32], wave(160));
  await using whole = PixArtTransformer.open(runtime, config, weights);
  const text = await whole.prepareText(embeddings);
  const expected = await whole.predict({ ...inputs, text });
  for (const residency of ["stage", "stream"] as const) {
    for (const layersPerSegment of [1, 2, 3]) {
      await using cut = PixArtTransformer.open(runtime, config, weights, {
        residency,
        layersPerSegment,
      });
      const sample = await cut.predict({ ...inputs, text: await cut.prepareText(embeddings) });
      assert.deepEqual(sample.data, expected.data, `${residency} ${layersPerSegment}`);
    }
  }
});

Deno.test("PixArtTransformer absorbs a short text's projections with the same result up to rounding", async () => {
  const cpu = runtime.traits;
  const gpu = { hostMemory: false, float16: false } as const;
  const webgpu = { ...gpu, float16: "weights", transposesWeights: true } as const;
  for (const checkpoint of TINY_CHECKPOINTS) {
    const { config, weights } = await openTransformer(checkpoint);
    const channels = config.caption_channels!;
    const wave = (length: number, seed: number) =>
      Float32Array.from({ length }, (_, i) => Math.sin(seed * i * i));
    const latents = tensor("float32", [1, 4, 6, 8], wave(192, 1));
    const renderSize = { height: 48, width: 64 };
    for (
      const { traits, weightType } of [
        { traits: cpu },
        { traits: gpu },
        { traits: webgpu },
        { traits: webgpu, weightType: "float16" },
      ] as const
    ) {
      const place = { device: "place", traits, open: runtime.open.bind(runtime) } satisfies Runtime;
      await using transformer = PixArtTransformer.open(place, config, weights, { weightType });
      const inputs = async (tokens: number) => {
        const embeddings = tensor("float32", [tokens, channels], wave(channels * tokens, tokens));
        return { latents, timestep: 321, renderSize, text: await transformer.prepareText(embeddings) };
      };
      assert(isShortText(9, config.attention_head_dim) && !isShortText(60, config.attention_head_dim));
      const long = await inputs(60);
      for (const tokens of [1, 6, 9]) {
        const short = await inputs(tokens);
        // Next to a long text, the same text is not absorbed.
        const [expected] = await transformer.predictEach([short, long]);
        const actual = await transformer.predict(short);
        assert.notDeepEqual(actual.data, expected!.data);
        assertNear(actual.data, expected!.data, { relL2: 2e-6 }, `${checkpoint}: ${tokens} tokens`);
      }
    }
  }
});

Deno.test("PixArtTransformer predicts the same bytes in float32 for any number of parts of its rows", async () => {
  const { config, weights } = await openTransformer("tiny-alpha-512");
  const wave = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * i));
  // 64 × 48 rows: 6 parts on two threads, one part on eight.
  const latents = tensor("float32", [1, 4, 128, 96], wave(4 * 128 * 96));
  const samples = [];
  for (const threads of [2, 8]) {
    const traits = { ...runtime.traits, threads };
    const place = { device: "cpu", traits, open: runtime.open.bind(runtime) } satisfies Runtime;
    await using transformer = PixArtTransformer.open(place, config, weights);
    const text = await transformer.prepareText(tensor("float32", [5, 32], wave(160)));
    samples.push(await transformer.predict({ latents, timestep: 321, text }));
  }
  assert.deepEqual(samples[0]!.data, samples[1]!.data);
});

Deno.test("PixArtTransformer predicts both guidance branches as if one by one, opening each segment once", async () => {
  const { config, weights } = await openTransformer("tiny-alpha-512");
  const opened: string[] = [];
  await using transformer = PixArtTransformer.open(runtime, config, weights, {
    residency: "stream",
    onLoad: ({ graph, index, total }) => opened.push(`${graph} ${index}/${total}`),
  });
  const wave = (length: number, seed: number) =>
    Float32Array.from({ length }, (_, i) => Math.sin(seed * i * i));
  const latents = tensor("float32", [1, 4, 6, 8], wave(192, 1));
  const branches = await Promise.all([2, 7].map(async (tokens) => {
    const text = await transformer.prepareText(tensor("float32", [tokens, 32], wave(32 * tokens, tokens)));
    return { latents, timestep: 20, text };
  }));
  const both = await transformer.predictEach(branches);
  const module = "tiny-alpha-512/transformer.blocks";
  assert.deepEqual(opened, [`${module}.0-0 0/3`, `${module}.1-1 1/3`, `${module}.2-2 2/3`]);
  for (const [index, branch] of branches.entries()) {
    assert.deepEqual((await transformer.predict(branch)).data, both[index]?.data);
  }
});

Deno.test("PixArtTransformer predicts both guidance branches at once as if one by one, up to rounding", async () => {
  for (const checkpoint of TINY_CHECKPOINTS) {
    const { config, weights } = await openTransformer(checkpoint);
    const channels = config.caption_channels!;
    const wave = (length: number, seed: number) =>
      Float32Array.from({ length }, (_, i) => Math.sin(seed * i * i));
    const latents = tensor("float32", [1, 4, 6, 8], wave(192, 1));
    for (const layersPerSegment of [undefined, 1]) {
      const options = { layersPerSegment, residency: "stage" as const };
      await using single = PixArtTransformer.open(runtime, config, weights, options);
      await using both = PixArtTransformer.open(runtime, config, weights, {
        ...options,
        guidanceBranches: 2,
      });
      const branches = await Promise.all([2, 7].map(async (tokens) => ({
        latents,
        timestep: 20,
        text: await both.prepareText(tensor("float32", [tokens, channels], wave(channels * tokens, tokens))),
        renderSize: { height: 48, width: 64 },
      })));
      const expected = await single.predictEach(branches);
      const actual = await both.predictEach(branches);
      for (const [index, { shape, data }] of expected.entries()) {
        assert.deepEqual(actual[index]?.shape, shape);
        assertNear(actual[index]!.data, data, { relL2: 2e-6 }, `${checkpoint}: branch ${index}`);
      }
      await assert.rejects(both.predict(branches[0]!), {
        code: "invalid_value",
        message:
          "Cannot predict: this transformer was opened for two texts at once, with the same latents and timestep",
      });
    }
  }
});

Deno.test("PixArtTransformer says what is wrong with its inputs, and stops on abort", async () => {
  const { config, weights } = await openTransformer("tiny-lcm");
  await using transformer = PixArtTransformer.open(runtime, config, weights);
  const text = await transformer.prepareText(tensor("float32", [2, 28], new Float32Array(56)));
  const zeros = (...shape: number[]) =>
    tensor("float32", shape, new Float32Array(shape.reduce((a, b) => a * b)));
  const renderSize = { height: 32, width: 48 };
  const rejected = {
    code: "invalid_shape",
    message: /^Cannot predict: latents must be \[1, 4, h, w\] with h and w multiples/,
  };
  for (const shape of [[1, 4, 3, 4], [2, 4, 4, 4], [1, 3, 4, 4], [4, 4, 4]]) {
    await assert.rejects(
      transformer.predict({ latents: zeros(...shape), timestep: 1, text, renderSize }),
      rejected,
    );
  }
  const latents = zeros(1, 4, 4, 6);
  await assert.rejects(transformer.predict({ latents, timestep: 1, text }), {
    code: "invalid_value",
    message: "Cannot predict: this transformer requires renderSize, the size of the picture in pixels",
  });
  await assert.rejects(
    transformer.predict({ latents, timestep: 1, text, renderSize }, { signal: AbortSignal.abort() }),
    {
      name: "AbortError",
    },
  );
});

Deno.test("PixArtTransformer in float16 predicts the same as in float32 up to rounding, in memory alone or in all blocks", async () => {
  for (const checkpoint of TINY_CHECKPOINTS) {
    const { config, weights } = await openTransformer(checkpoint);
    const wave = (length: number, seed: number) =>
      Float32Array.from({ length }, (_, i) => Math.sin(seed * i * i));
    const latents = tensor("float32", [1, 4, 6, 8], wave(192, 1));
    const channels = config.caption_channels!;
    const embeddings = [2, 7].map((tokens) =>
      tensor("float32", [tokens, channels], wave(channels * tokens, tokens))
    );
    const predict = async (float16: RuntimeTraits["float16"], layersPerSegment?: number) => {
      // This CPU emulates float16 by casting, so it can stand in for a GPU.
      const gpu: Runtime = {
        device: "gpu",
        traits: { hostMemory: false, float16 },
        open: (...graph) => runtime.open(...graph),
      };
      await using transformer = PixArtTransformer.open(gpu, config, weights, {
        weightType: float16 ? "float16" : "float32",
        guidanceBranches: 2,
        layersPerSegment,
      });
      const renderSize = { height: 48, width: 64 };
      const texts = await Promise.all(embeddings.map((embedding) => transformer.prepareText(embedding)));
      return await transformer.predictEach(
        texts.map((text) => ({ latents, timestep: 321, renderSize, text })),
      );
    };
    const expected = await predict(false);
    for (const [float16, relL2] of [["weights", 1e-3], ["blocks", 3e-3]] as const) {
      const actual = await predict(float16);
      const segmented = await predict(float16, 1);
      for (const branch of [0, 1]) {
        for (const { data } of [actual[branch]!, segmented[branch]!]) {
          assertNear(data, expected[branch]!.data, { relL2 }, `${checkpoint} ${float16}`);
        }
      }
    }
  }
});
