/**
 * Times a guided denoising step of PixArt-XL at 512 px with a LoRA against the same step without it, in
 * alternation and in processor seconds. Weights are random, and the LoRA has rank 16 on all products of the
 * blocks, like PixArt's training script.
 *
 *     deno run -A bench/lora.ts [--steps 5] [--layers 28] [--rank 16] [--threads 2] [--tokens 1,20]
 *
 * @module
 */

import { join } from "node:path";
import { cpuUsage } from "node:process";
import { parseArgs } from "node:util";
import { writeAtomically } from "../disk/atomic_write.ts";
import { fromFloat32 } from "../artifacts/half_precision.ts";
import { encodeSafetensors } from "../artifacts/safetensors.ts";
import { type Tensor, tensor } from "../artifacts/tensor.ts";
import { openComponent } from "../models/checkpoint/component.ts";
import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import type { Weights } from "../models/checkpoint/weights.ts";
import { AdaptedWeights } from "../models/lora/adapted_weights.ts";
import { openAdapter } from "../models/lora/adapter.ts";
import { fitAdapter } from "../models/lora/fit_adapter.ts";
import { PixArtTransformer } from "../models/pixart/transformer_runner.ts";
import { PixArtTransformerConfig } from "../models/pixart/transformer_config.ts";
import { OnnxRuntimeNode } from "../runtime/onnxruntime_node.ts";
import { median, wave, writeTransformer } from "./random_transformer.ts";

const SIDE = 64;
const TIMESTEP = 500;
/** The products of a block that the LoRA adapts. */
const ADAPTED = /^transformer_blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ff\.net\.(0\.proj|2))\.weight$/;

const { values: options } = parseArgs({
  options: {
    steps: { type: "string", default: "5" },
    layers: { type: "string", default: "28" },
    rank: { type: "string", default: "16" },
    tokens: { type: "string", default: "1,20" },
    threads: { type: "string", default: String(navigator.hardwareConcurrency) },
  },
});
const threads = Number(options.threads);
const tokens = options.tokens.split(",").map(Number);

const folder = await Deno.makeTempDir({ prefix: "pixstage-bench-" });
try {
  await writeTransformer(folder, {
    _class_name: "PixArtTransformer2DModel",
    sample_size: SIDE,
    num_layers: Number(options.layers),
    caption_channels: 4096,
  }, "float32");
  const component = await openComponent(await openDiskSource(folder), { component: "transformer" });
  const config = PixArtTransformerConfig.parse(component.config);
  const weights = await component.weights();
  const adapted = await withLora(weights, Number(options.rank));
  const steps = [await stepOf(config, weights), await stepOf(config, adapted)] as const;
  // The first step of each transformer is a warm-up.
  for (const step of steps) await step();
  const seconds: [number[], number[]] = [[], []];
  for (let index = 0; index < Number(options.steps); index++) {
    for (const side of [0, 1] as const) seconds[side].push(await steps[side]());
  }
  const [plain, lora] = seconds;
  report("without", plain);
  report(`rank ${options.rank} `, lora);
  print(
    `a step with the LoRA takes ${(median(lora) / median(plain)).toFixed(3)} times as long by the medians, ` +
      `${(Math.min(...lora) / Math.min(...plain)).toFixed(3)} by the shortest`,
  );
} finally {
  await Deno.remove(folder, { recursive: true });
}

/** Adds a LoRA with random values, in a separate file, to the weights. */
async function withLora(weights: Weights, rank: number): Promise<Weights> {
  const tensors: Record<string, Tensor> = {};
  for (const name of weights.names.filter((name) => ADAPTED.test(name))) {
    const [output = 0, input = 0] = weights.locate(name).shape;
    const module = `transformer.${name.replace(/\.weight$/, "")}`;
    for (const [part, shape] of [["lora_A", [rank, input]], ["lora_B", [output, rank]]] as const) {
      const values = wave(shape, 1 + output % 7).data.map((value) => value / 100);
      tensors[`${module}.${part}.weight`] = tensor("float16", shape, fromFloat32(values, "float16"));
    }
  }
  await writeAtomically(join(folder, "lora", "lora.safetensors"), encodeSafetensors(tensors));
  const { branches } = fitAdapter(await openAdapter(await openDiskSource(join(folder, "lora"))), weights);
  return new AdaptedWeights(
    weights,
    new Map(Array.from(branches, ([module, branch]) => [module, [branch]] as const)),
  );
}

/**
 * Opens a transformer; the result runs a step and returns processor seconds, which other programs do not
 * affect.
 */
async function stepOf(config: PixArtTransformerConfig, weights: Weights): Promise<() => Promise<number>> {
  const transformer = PixArtTransformer.open(new OnnxRuntimeNode({ threads }), config, weights);
  const latents = wave([1, config.in_channels, SIDE, SIDE], 1);
  const texts = await Promise.all(
    tokens.map((count, half) => transformer.prepareText(wave([count, config.caption_channels!], 2 + half))),
  );
  return async () => {
    const start = cpuUsage();
    await transformer.predictEach(texts.map((text) => ({ latents, timestep: TIMESTEP, text })));
    const { user, system } = cpuUsage(start);
    return (user + system) / 1e6;
  };
}

function report(name: string, seconds: readonly number[]): void {
  const each = seconds.map((value) => value.toFixed(2)).join(" ");
  print(`${name} ${median(seconds).toFixed(2)} s per step (${each}), ${threads} threads`);
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
