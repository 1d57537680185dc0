import assert from "node:assert/strict";
import { join } from "node:path";
import type { Tensor } from "../../../artifacts/tensor.ts";
import { openComponent } from "../../../models/checkpoint/component.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import type { Weights } from "../../../models/checkpoint/weights.ts";
import { SegmentedModel } from "../../../models/segments.ts";
import { t5EncoderSegments } from "../../../models/t5/encoder.ts";
import { T5EncoderConfig } from "../../../models/t5/encoder_config.ts";
import { T5Encoder } from "../../../models/t5/encoder_runner.ts";
import { positionBuckets } from "../../../models/t5/position_buckets.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import { tensor } from "../../../artifacts/tensor.ts";
import { editTensors, tinyCheckpoint, withCopy } from "../checkpoint/copies.ts";
import {
  assertNear,
  openTiny,
  readCases,
  readProbes,
  realTokens,
  rows,
  TINY_CHECKPOINTS,
} from "../tiny_checkpoints.ts";

const runtime = new OnnxRuntimeNode();
const LIMITS = { maxAbs: 2e-5, relL2: 5e-6 };

async function openEncoder(
  checkpoint: string,
  variant = "",
): Promise<{ config: T5EncoderConfig; weights: Weights }> {
  const component = await openTiny(checkpoint, "text_encoder", variant);
  return { config: T5EncoderConfig.parse(component.config), weights: await component.weights() };
}

Deno.test("T5Encoder reproduces the reference's hidden states of every stored text", async () => {
  const cases = await readCases(({ tensors }) => "prompt_input_ids" in tensors);
  let compared = 0;
  for (const run of cases) {
    const { config, weights } = await openEncoder(run.checkpoint, run.load.variant);
    await using encoder = await T5Encoder.open(runtime, config, weights);
    for (const which of ["prompt", "negative"] as const) {
      const golden = run.tensors[`${which}_t5_last_hidden_state`] as Tensor<"float32"> | undefined;
      for (let text = 0; text < (golden?.shape[0] ?? 0); text++) {
        const ids = realTokens(run, which, text);
        const encoded = await encoder.encode(ids);
        assert.deepEqual(encoded.shape, [ids.length, config.d_model]);
        const expected = rows(golden!, text).data.subarray(0, encoded.data.length);
        assertNear(encoded.data, expected, LIMITS, `${run.id}: ${which} ${text}`);
        compared++;
      }
    }
  }
  assert(compared >= 4, `${compared}`);
});

Deno.test("T5Encoder produces the text input of the transformer in the basic cases", async () => {
  for (const run of await readCases(({ id }) => id.endsWith("-01-basic"))) {
    const { config, weights } = await openEncoder(run.checkpoint);
    await using encoder = await T5Encoder.open(runtime, config, weights, { residency: "stream" });
    const golden = run.tensors.encoder_hidden_states as Tensor<"float32">;
    const texts = golden.shape[0] === 2 ? ["negative", "prompt"] as const : ["prompt"] as const;
    for (const [row, which] of texts.entries()) {
      const encoded = await encoder.encode(realTokens(run, which));
      assertNear(
        encoded.data,
        rows(golden, row).data.subarray(0, encoded.data.length),
        LIMITS,
        `${run.id}: ${which}`,
      );
    }
  }
});

Deno.test("T5 activations match the reference after every sublayer", async () => {
  for (const checkpoint of TINY_CHECKPOINTS) {
    const probes = await readProbes(checkpoint);
    const { config, weights } = await openEncoder(checkpoint);
    const graphs = t5EncoderSegments(config, weights, { exposed: () => true });
    await using model = await SegmentedModel.open(runtime, graphs);
    const ids = realTokens(probes.run, "prompt");
    const values = await model.run({
      input_ids: tensor("int32", [ids.length], Int32Array.from(ids)),
      position_buckets: positionBuckets(ids.length, { buckets: 32, maxDistance: 128 }),
    });
    for (const [name, entry] of Object.entries(probes.entries)) {
      if (!name.startsWith("t5/")) continue;
      const actual = values[name.slice(3)] as Tensor<"float32">;
      assert.deepEqual(actual.shape, entry.shape, name);
      const golden = probes.tensors[name] as Tensor<"float32">;
      assertNear(actual.data, golden.data, { relL2: 5e-6 }, `${checkpoint}: ${name}`, entry.sample);
    }
  }
});

Deno.test("T5Encoder produces the same bytes for every segmentation and residency", async () => {
  const { config, weights } = await openEncoder("tiny-sigma");
  const ids = [5, 300, 17, 9, 44, 1];
  await using whole = await T5Encoder.open(runtime, config, weights);
  const expected = await whole.encode(ids);
  for (const residency of ["stage", "stream"] as const) {
    for (const layersPerSegment of [1, 2, 3, 100]) {
      await using encoder = await T5Encoder.open(runtime, config, weights, { residency, layersPerSegment });
      assert.deepEqual((await encoder.encode(ids)).data, expected.data, `${residency} ${layersPerSegment}`);
      assert.deepEqual((await encoder.encode(ids)).data, expected.data, "again");
    }
  }
});

Deno.test("T5Encoder uses encoder.embed_tokens.weight as the embedding, even if shared.weight differs", async () => {
  await withCopy(tinyCheckpoint("tiny-alpha-512/text_encoder"), async (copy) => {
    const path = join(copy, "model.safetensors");
    const ids = [71, 300, 5, 1];
    const encode = async (folder: string): Promise<Tensor<"float32">> => {
      const component = await openComponent(await openDiskSource(folder), { component: "text_encoder" });
      const weights = await component.weights();
      await using encoder = await T5Encoder.open(runtime, T5EncoderConfig.parse(component.config), weights);
      return await encoder.encode(ids);
    };
    const expected = await encode(copy);
    await editTensors(path, ({ "shared.weight": table, ...tensors }) => ({
      ...tensors,
      "encoder.embed_tokens.weight": table!,
    }));
    assert.deepEqual(await encode(copy), expected);
    // transformers 5.24 does not tie two different tensors, and returns the same values here.
    await editTensors(path, (tensors) => {
      const { shape, data } = tensors["encoder.embed_tokens.weight"]!;
      return { ...tensors, "shared.weight": tensor("float32", shape, new Float32Array(data.length)) };
    });
    assert.deepEqual(await encode(copy), expected);
  });
});
