import assert from "node:assert/strict";
import { compareTensors } from "../../../artifacts/compare_tensors.ts";
import { tensor } from "../../../artifacts/tensor.ts";
import type { Weights } from "../../../models/checkpoint/weights.ts";
import { PixArtTransformerConfig } from "../../../models/pixart/transformer_config.ts";
import { PixArtTransformer } from "../../../models/pixart/transformer_runner.ts";
import { openQuantized } from "../../../models/quantization/open_quantized.ts";
import { createGenerator } from "../../../random/create_generator.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import type { ByteAttention, Runtime } from "../../../runtime/runtime.ts";
import { openTiny } from "../tiny_checkpoints.ts";

const SIDE = 64;

Deno.test("predictions in int8 are near those in float32, whichever products of attention multiply bytes", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const component = await openTiny("tiny-alpha-512", "transformer");
    const config = PixArtTransformerConfig.parse(component.config);
    const [latents, embeddings] = [[1, 4, SIDE, SIDE], [5, config.caption_channels!]].map((shape, seed) =>
      tensor("float32", shape, createGenerator("torch-cpu", seed).randn(shape.reduce((a, b) => a * b)))
    );
    const predict = async (weights: Weights, byteAttention: ByteAttention) => {
      const cpu = new OnnxRuntimeNode({ threads: 2 });
      // Which products take less time from bytes depends on the processor; any processor can compute them.
      const runtime: Runtime = {
        device: cpu.device,
        traits: { ...cpu.traits, byteAttention },
        open: (...graph) => cpu.open(...graph),
      };
      await using transformer = PixArtTransformer.open(runtime, config, weights);
      const text = await transformer.prepareText(embeddings!);
      return (await transformer.predict({ latents: latents!, timestep: 500, text })).data;
    };
    const exact = await predict(await component.weights(), "all");
    const int8 = await openQuantized(component, "int8", folder);
    const errors = new Set<number>();
    for (const byteAttention of ["all", "scores", "none"] as const) {
      const { relativeError } = compareTensors(exact, await predict(int8, byteAttention));
      assert(relativeError > 0 && relativeError < 3e-3, `${byteAttention}: off by ${relativeError}`);
      errors.add(relativeError);
    }
    assert.equal(errors.size, 3, `${[...errors]}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
