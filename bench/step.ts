/**
 * Times a guided denoising step of PixArt-XL at 512 px on the CPU: 28 blocks, 1024 image tokens, a prompt of
 * 20 tokens and an empty negative one, which diffusers pads to 120 tokens each. Steps alternate between the
 * named precisions and, with `--python`, PyTorch with diffusers, all over the same random weights in a
 * temporary file of 2.4 GB. With fewer `--layers`, the work outside of the blocks has a larger share.
 *
 *     deno task bench:step [--python VENV/bin/python] [--torch-dtype bfloat16] [--precision float32,int8]
 *         [--steps 5] [--layers 28] [--threads 2] [--tokens 1,20] [--size 512]
 *
 * @module
 */

import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { parseArgs } from "node:util";
import type { Tensor } from "../artifacts/tensor.ts";
import { openComponent } from "../models/checkpoint/component.ts";
import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import { isQuantizedPrecision, type Precision, precisionSchema } from "../models/precision.ts";
import { openQuantized } from "../models/quantization/open_quantized.ts";
import { PixArtTransformer } from "../models/pixart/transformer_runner.ts";
import { PixArtTransformerConfig } from "../models/pixart/transformer_config.ts";
import { OnnxRuntimeNode } from "../runtime/onnxruntime_node.ts";
import { difference, median, wave, writeTransformer } from "./random_transformer.ts";

/** The number of tokens to which diffusers pads texts. */
const PADDED_TOKENS = 120;
const TIMESTEP = 500;
const GUIDANCE = 4.5;

const { values: options } = parseArgs({
  options: {
    python: { type: "string" },
    steps: { type: "string", default: "5" },
    layers: { type: "string", default: "28" },
    precision: { type: "string", default: "float32" },
    size: { type: "string", default: "512" },
    tokens: { type: "string", default: "1,20" },
    "torch-dtype": { type: "string", default: "float32" },
    threads: { type: "string", default: String(navigator.hardwareConcurrency) },
  },
});
const threads = Number(options.threads);
/** The side of the latents. */
const SIDE = Number(options.size) / 8;
const precisions = options.precision.split(",").map((name) => precisionSchema.parse(name));
/** Number of real tokens in the negative prompt and in the prompt. */
const tokens = options.tokens.split(",").map(Number);

const folder = await Deno.makeTempDir({ prefix: "pixstage-bench-" });
try {
  const config = {
    _class_name: "PixArtTransformer2DModel",
    sample_size: SIDE,
    num_layers: Number(options.layers),
    caption_channels: 4096,
    // The size conditions of α at 1024 px take no measurable time.
    use_additional_conditions: false,
  };
  await writeTransformer(folder, config, "float32");
  const torch = options.python === undefined ? undefined : startTorch(options.python, folder);
  const runners = [
    ...await Promise.all(precisions.map(async (precision) => ({
      name: `pixstage ${precision}`,
      file: `${precision}.f32`,
      step: await openPixstage(folder, precision),
      seconds: new Array<number>(),
    }))),
    ...(torch
      ? [{
        name: `PyTorch ${options["torch-dtype"]}`,
        file: "torch.f32",
        step: torch.step,
        seconds: new Array<number>(),
      }]
      : []),
  ];

  // The first step of each precision is a warm-up.
  for (const { step } of runners) await step();
  for (let step = 0; step < Number(options.steps); step++) {
    for (const { step, seconds } of runners) seconds.push(await step());
  }
  await torch?.stop();

  const noises = await Promise.all(
    runners.map(async ({ file }) => new Float32Array((await Deno.readFile(join(folder, file))).buffer)),
  );
  runners.forEach(({ name, seconds }, index) => {
    const [first] = runners;
    report(name, seconds);
    if (index === 0) return;
    const faster = (value: (values: readonly number[]) => number) =>
      (value(first!.seconds) / value(seconds)).toFixed(2);
    print(
      `  ${faster(median)} times as fast as ${first!.name} by medians, ${
        faster((all) => Math.min(...all))
      } by minima; ` +
        `guided outputs differ by ${difference(noises[index]!, noises[0]!).toExponential(1)} relative`,
    );
  });
} finally {
  await Deno.remove(folder, { recursive: true });
}

/** Opens pixstage's transformer; the result runs a step and returns the seconds. */
async function openPixstage(folder: string, precision: Precision): Promise<() => Promise<number>> {
  const component = await openComponent(await openDiskSource(folder), { component: "transformer" });
  const config = PixArtTransformerConfig.parse(component.config);
  const weights = isQuantizedPrecision(precision)
    ? await openQuantized(component, precision, join(folder, "quantized"))
    : await component.weights();
  const transformer = PixArtTransformer.open(new OnnxRuntimeNode({ threads }), config, weights);
  const latents = wave([1, config.in_channels, SIDE, SIDE], 1);
  const texts = await Promise.all(
    tokens.map((count, half) => transformer.prepareText(wave([count, config.caption_channels!], 2 + half))),
  );
  return async () => {
    const start = performance.now();
    const branches = await transformer.predictEach(
      texts.map((text) => ({ latents, timestep: TIMESTEP, text })),
    );
    const [negative, prompt] = branches as [Tensor<"float32">, Tensor<"float32">];
    const guided = prompt.data.map((value, i) => negative.data[i]! + GUIDANCE * (value - negative.data[i]!));
    const seconds = (performance.now() - start) / 1000;
    await Deno.writeFile(join(folder, `${precision}.f32`), new Uint8Array(guided.buffer));
    return seconds;
  };
}

/** Starts diffusers in a separate process, which runs a step for each line that it reads. */
function startTorch(python: string, folder: string): { step(): Promise<number>; stop(): Promise<void> } {
  const script = new URL("./step_torch.py", import.meta.url).pathname;
  const args = [
    script,
    folder,
    threads,
    SIDE,
    PADDED_TOKENS,
    TIMESTEP,
    GUIDANCE,
    options.tokens,
    options["torch-dtype"],
  ].map(
    String,
  );
  const child = new Deno.Command(python, { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const stdin = child.stdin.getWriter();
  const lines = createInterface({ input: Readable.fromWeb(child.stdout) })[Symbol.asyncIterator]();
  return {
    async step() {
      await stdin.write(new TextEncoder().encode("step\n"));
      const { value, done } = await lines.next();
      if (done) {
        throw new Error(`Cannot time PyTorch because ${python} has ended: run ${args.join(" ")} to see why`);
      }
      return Number(value);
    },
    async stop() {
      await stdin.close();
      await child.status;
    },
  };
}

function report(name: string, seconds: readonly number[]): void {
  const each = seconds.map((value) => value.toFixed(2)).join(" ");
  print(`${name} ${median(seconds).toFixed(2)} s per step (${each}), ${threads} threads`);
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
