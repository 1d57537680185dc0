/**
 * Times one denoising step of PixArt-XL at 512 px with guidance, in float32 on the CPU: 28 blocks, 1024 tokens of
 * picture, both halves: a prompt of 20 tokens and an empty negative one, which diffusers pads to 120 tokens each. With
 * `--python` in alternation with PyTorch and diffusers, over the same weights: random ones, written to a temporary file
 * of 2.4 GB.
 *
 *     deno task bench:step [--python VENV/bin/python] [--steps 5] [--layers 28] [--threads 2] [--tokens 1,20]
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
import { PixArtTransformer } from "../models/pixart/transformer_runner.ts";
import { PixArtTransformerConfig } from "../models/pixart/transformer_config.ts";
import { OnnxRuntimeNode } from "../runtime/onnxruntime_node.ts";
import { difference, median, wave, writeTransformer } from "./random_transformer.ts";

const SIDE = 64;
/** What diffusers pads texts to. */
const PADDED_TOKENS = 120;
const TIMESTEP = 500;
const GUIDANCE = 4.5;

const { values: options } = parseArgs({
  options: {
    python: { type: "string" },
    steps: { type: "string", default: "5" },
    layers: { type: "string", default: "28" },
    tokens: { type: "string", default: "1,20" },
    threads: { type: "string", default: String(navigator.hardwareConcurrency) },
  },
});
const threads = Number(options.threads);
/** Real tokens of the negative prompt and of the prompt. */
const tokens = options.tokens.split(",").map(Number);

const folder = await Deno.makeTempDir({ prefix: "pixstage-bench-" });
try {
  const config = {
    _class_name: "PixArtTransformer2DModel",
    sample_size: SIDE,
    num_layers: Number(options.layers),
    caption_channels: 4096,
  };
  await writeTransformer(folder, config, "float32");
  const pixstage = await openPixstage(folder);
  const torch = options.python === undefined ? undefined : startTorch(options.python, folder);

  // The first step of each warms up.
  const ours = [await pixstage()];
  const theirs = torch ? [await torch.step()] : [];
  for (let step = 0; step < Number(options.steps); step++) {
    ours.push(await pixstage());
    if (torch) theirs.push(await torch.step());
  }
  await torch?.stop();

  report("pixstage", ours.slice(1));
  if (torch) {
    report("PyTorch ", theirs.slice(1));
    print(`pixstage is ${(median(theirs.slice(1)) / median(ours.slice(1))).toFixed(2)} times as fast`);
    const noises = await Promise.all(
      ["pixstage", "torch"].map((name) => Deno.readFile(join(folder, `${name}.f32`))),
    );
    const [a, b] = noises.map(({ buffer }) => new Float32Array(buffer)) as [Float32Array, Float32Array];
    print(`guided outputs differ by ${difference(a, b).toExponential(1)} relative`);
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}

/** Opens pixstage's transformer; what it gives runs a step and tells the seconds. */
async function openPixstage(folder: string): Promise<() => Promise<number>> {
  const component = await openComponent(await openDiskSource(folder), { component: "transformer" });
  const config = PixArtTransformerConfig.parse(component.config);
  const transformer = PixArtTransformer.open(
    new OnnxRuntimeNode({ threads }),
    config,
    await component.weights(),
  );
  const latents = wave([1, config.in_channels, SIDE, SIDE], 1);
  const texts = await Promise.all(
    tokens.map((count, half) => transformer.prepareText(wave([count, config.caption_channels!], 2 + half))),
  );
  return async () => {
    const start = performance.now();
    const halves = await transformer.predictEach(
      texts.map((text) => ({ latents, timestep: TIMESTEP, text })),
    );
    const [negative, prompt] = halves as [Tensor<"float32">, Tensor<"float32">];
    const guided = prompt.data.map((value, i) => negative.data[i]! + GUIDANCE * (value - negative.data[i]!));
    const seconds = (performance.now() - start) / 1000;
    await Deno.writeFile(join(folder, "pixstage.f32"), new Uint8Array(guided.buffer));
    return seconds;
  };
}

/** Starts diffusers in a process of its own, which runs a step for each line that it reads. */
function startTorch(python: string, folder: string): { step(): Promise<number>; stop(): Promise<void> } {
  const script = new URL("./step_torch.py", import.meta.url).pathname;
  const args = [script, folder, threads, SIDE, PADDED_TOKENS, TIMESTEP, GUIDANCE, options.tokens].map(String);
  const child = new Deno.Command(python, { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const stdin = child.stdin.getWriter();
  const lines = createInterface({ input: Readable.fromWeb(child.stdout) })[Symbol.asyncIterator]();
  return {
    async step() {
      await stdin.write(new TextEncoder().encode("step\n"));
      const { value, done } = await lines.next();
      if (done) {
        throw new Error(`Cannot time PyTorch as ${python} has ended: run ${args.join(" ")} to see why`);
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
  print(`${name} ${median(seconds).toFixed(2)} s a step (${each}), ${threads} threads`);
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
