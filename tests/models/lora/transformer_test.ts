import assert from "node:assert/strict";
import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import type { Weights } from "../../../models/checkpoint/weights.ts";
import { AdaptedWeights } from "../../../models/lora/adapted_weights.ts";
import { openAdapter } from "../../../models/lora/adapter.ts";
import { fitAdapter } from "../../../models/lora/fit_adapter.ts";
import { PixArtTransformer } from "../../../models/pixart/transformer_runner.ts";
import { PixArtTransformerConfig } from "../../../models/pixart/transformer_config.ts";
import { openQuantized } from "../../../models/quantization/open_quantized.ts";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import type { Runtime, RuntimeTraits } from "../../../runtime/runtime.ts";
import { inFolder } from "../../cli/run_cli.ts";
import { adapterPath } from "../../stages/lora_cases.ts";
import { assertNear, openTiny } from "../tiny_checkpoints.ts";

const runtime = new OnnxRuntimeNode();
const LATENTS = tensor("float32", [1, 4, 6, 8], wave(192, 1));
const TOKENS = [2, 7];

function wave(length: number, seed: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, (_, i) => Math.sin(seed * i * i));
}

/** Opens a tiny transformer, with its own weights and with the adapter of all layers applied. */
async function open() {
  const component = await openTiny("tiny-alpha-512", "transformer");
  const weights = await component.weights();
  const adapter = await openAdapter(await openDiskSource(adapterPath("peft-all-a")));
  const adapt = (base: Weights): Weights => {
    const { branches } = fitAdapter(adapter, weights);
    return new AdaptedWeights(base, new Map(Array.from(branches, ([module, branch]) => [module, [branch]])));
  };
  return { component, config: PixArtTransformerConfig.parse(component.config), weights, adapt };
}

/** Predicts both guidance branches. */
async function predict(
  config: PixArtTransformerConfig,
  weights: Weights,
  options: Parameters<typeof PixArtTransformer.open>[3] = {},
  traits?: RuntimeTraits,
): Promise<Tensor<"float32">[]> {
  const gpu: Runtime | undefined = traits &&
    { device: "gpu", traits, open: (...graph) => runtime.open(...graph) };
  await using transformer = PixArtTransformer.open(gpu ?? runtime, config, weights, options);
  const texts = await Promise.all(
    TOKENS.map((tokens) =>
      transformer.prepareText(tensor("float32", [tokens, 32], wave(32 * tokens, tokens)))
    ),
  );
  return await transformer.predictEach(texts.map((text) => ({ latents: LATENTS, timestep: 321, text })));
}

Deno.test("a LoRA produces the same bytes for every segmentation and residency of its model", async () => {
  const { config, weights, adapt } = await open();
  const expected = await predict(config, adapt(weights));
  const [plain] = await predict(config, weights);
  assert.notDeepEqual(plain!.data, expected[0]!.data);
  for (const options of [{ residency: "stream" as const }, { layersPerSegment: 2 }]) {
    const actual = await predict(config, adapt(weights), options);
    assert.deepEqual(actual.map(({ data }) => data), expected.map(({ data }) => data));
  }
});

Deno.test("a LoRA produces the same up to rounding with absorbed projections and merged into float16", async () => {
  const { config, weights, adapt } = await open();
  const expected = await predict(config, adapt(weights));
  const plain = { hostMemory: false, float16: false } as const;
  const ways = [
    { traits: plain, options: {}, relL2: 2e-6 },
    { traits: plain, options: { guidanceBranches: 2 as const }, relL2: 2e-6 },
    ...(["weights", "blocks"] as const).map((float16) => ({
      traits: { hostMemory: false, float16 },
      options: { guidanceBranches: 2 as const, weightType: "float16" as const },
      relL2: float16 === "blocks" ? 3e-3 : 1e-3,
    })),
  ];
  for (const { traits, options, relL2 } of ways) {
    const actual = await predict(config, adapt(weights), options, traits);
    for (const branch of [0, 1]) {
      assertNear(actual[branch]!.data, expected[branch]!.data, { relL2 }, `${traits.float16} ${branch}`);
    }
  }
});

Deno.test("a LoRA on quantized weights is as exact as these weights are", () =>
  inFolder(async (folder) => {
    const { component, config, weights, adapt } = await open();
    const [plain, adapted] = [await predict(config, weights), await predict(config, adapt(weights))];
    for (const precision of ["int8", "int4-lowrank", "int4"] as const) {
      const quantized = await openQuantized(component, precision, folder);
      const error = (actual: Tensor<"float32">[], exact: Tensor<"float32">[]): number => {
        const squares = (values: readonly number[]) => values.reduce((sum, value) => sum + value ** 2, 0);
        const off = [...actual[1]!.data].map((value, index) => value - exact[1]!.data[index]!);
        return Math.sqrt(squares(off) / squares([...exact[1]!.data]));
      };
      const [own, beside] = [
        error(await predict(config, quantized), plain),
        error(await predict(config, adapt(quantized)), adapted),
      ];
      assert(own > 0 && beside < 2 * own, `${precision}: ${own} alone, ${beside} with a LoRA`);
    }
  }));
