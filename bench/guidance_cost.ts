/**
 * Times a step of PixArt-XL with optional additions, in alternation: without guidance, with guidance, with
 * perturbed attention guidance of one block and of the blocks that diffusers' default finds, and with a
 * ControlNet that has copies of 13 of 28 blocks, like the published one. In float32 on the CPU with random
 * weights. Prints each time relative to that of guidance alone, and the processor time too: with
 * `--threads 1` it gives the cost of a step even if other work shares the machine.
 *
 *     deno run -A bench/guidance_cost.ts [--side 64] [--layers 28] [--rounds 3] [--threads 2] [--only ControlNet]
 *
 * `--only` omits the additions whose name does not contain a text. At 1024 × 1024, all of them take minutes.
 *
 * @module
 */

import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import type { PreparedText } from "../models/pixart/transformer_runner.ts";
import { openComponent } from "../models/checkpoint/component.ts";
import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import { selfAttentionName } from "../models/pixart/transformer_options.ts";
import { PixArtTransformer } from "../models/pixart/transformer_runner.ts";
import { PixArtTransformerConfig } from "../models/pixart/transformer_config.ts";
import { OnnxRuntimeNode } from "../runtime/onnxruntime_node.ts";
import { resolvePag } from "../stages/denoise/perturbed_attention.ts";
import { median, wave, writeControlNet, writeTransformer } from "./random_transformer.ts";

const { values } = parseArgs({
  options: {
    side: { type: "string", default: "64" },
    layers: { type: "string", default: "28" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: String(navigator.hardwareConcurrency) },
    only: { type: "string", default: "" },
  },
});
const side = Number(values.side);
const layers = Number(values.layers);
const TIMESTEP = 500;
/** Number of real tokens in the negative prompt and in the prompt. */
const TOKENS = [1, 20];

interface StepTime {
  /** Wall-clock time. */
  readonly seconds: number;
  /** Processor time. */
  readonly processor: number;
}

type Way = readonly [name: string, step: () => Promise<StepTime>];

const folder = await Deno.makeTempDir({ prefix: "pixstage-bench-" });
try {
  const settings = {
    _class_name: "PixArtTransformer2DModel",
    sample_size: 64,
    num_layers: layers,
    caption_channels: 4096,
  };
  await writeTransformer(folder, settings, "float32");
  const component = await openComponent(await openDiskSource(folder), { component: "transformer" });
  const config = PixArtTransformerConfig.parse(component.config);
  const weights = await component.weights();
  const names = Array.from({ length: layers }, (_, block) => selfAttentionName(block));
  const byDefault = resolvePag({ pagScale: 3 }, names)!.layers;
  const latents = wave([1, config.in_channels, side, side], 1);
  const followed = wave([1, config.in_channels, side, side], 3);

  const blocks = Math.round(13 / 28 * layers);
  await Deno.mkdir(join(folder, "control"));
  await writeControlNet(join(folder, "control"), settings, blocks);
  const source = await openDiskSource(join(folder, "control"));
  const control = {
    blocks,
    weights: await (await openComponent(source, { component: "controlnet" })).weights(),
  };

  /** Opens a transformer; the result runs a step and returns its time. */
  const open = async (options: Parameters<typeof PixArtTransformer.open>[3]) => {
    const runtime = new OnnxRuntimeNode({ threads: Number(values.threads) });
    const transformer = PixArtTransformer.open(runtime, config, weights, options);
    const texts: PreparedText[] = [];
    for (const count of TOKENS) texts.push(await transformer.prepareText(wave([count, 4096], 2)));
    return async (predictions: readonly { readonly text: 0 | 1; readonly perturbed?: boolean }[]) => {
      const inputs = predictions.map(({ text, perturbed }) => ({
        latents,
        timestep: TIMESTEP,
        text: texts[text]!,
        perturbed,
        ...(options?.control ? { control: { latents: followed, scale: 1 } } : {}),
      }));
      const [started, before] = [performance.now(), process.cpuUsage()];
      await transformer.predictEach(inputs);
      const { user, system } = process.cpuUsage(before);
      return { seconds: (performance.now() - started) / 1000, processor: (user + system) / 1e6 };
    };
  };
  const plain = await open({});
  const one = await open({ perturbable: names.slice(-1) });
  const many = await open({ perturbable: byDefault });
  const controlled = await open({ control });
  const guided = [{ text: 0 }, { text: 1 }] as const;
  const perturbed = [...guided, { text: 1, perturbed: true }] as const;
  const usual: Way = ["guidance", () => plain(guided)];
  const additions: readonly Way[] = [
    ["no guidance", () => plain(guided.slice(1))],
    ["guidance and 1 perturbed block", () => one(perturbed)],
    [`guidance and ${byDefault.length} perturbed blocks`, () => many(perturbed)],
    [`guidance and a ControlNet of ${blocks} blocks`, () => controlled(guided)],
  ];
  const ways = [usual, ...additions.filter(([name]) => name.includes(values.only))];
  const times = ways.map((): StepTime[] => []);
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const [index, [, step]] of ways.entries()) {
      const taken = await step();
      // The first round warms up.
      if (round > 0) times[index]!.push(taken);
    }
  }
  for (const kind of ["seconds", "processor"] as const) {
    const medians = times.map((taken) => median(taken.map((time) => time[kind])));
    for (const [index, taken] of medians.entries()) {
      const [name] = ways[index]!;
      const line = `${kind.padEnd(10)} ${name.padEnd(34)} ${taken.toFixed(2)} s per step, ${
        (taken / medians[0]!).toFixed(2)
      } of guidance\n`;
      Deno.stdout.writeSync(new TextEncoder().encode(line));
    }
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}
