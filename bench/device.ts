/**
 * Times a guided denoising step of PixArt-XL on a device, in float32 and float16, and compares the result
 * with the CPU's: 28 blocks, 20 text tokens, and random weights in float16, written to a temporary file of
 * 1.2 GB.
 *
 *     deno run -A bench/device.ts [--device webgpu] [--sizes 512,1024] [--precisions float32,float16]
 *         [--steps 5] [--layers 28] [--cpu 512]
 *
 * `--cpu` names the sizes at which a CPU computes the same step, which is slow.
 *
 * @module
 */

import { parseArgs } from "node:util";
import prettyBytes from "pretty-bytes";
import { openComponent } from "../models/checkpoint/component.ts";
import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import type { ComputeType } from "../models/onnx/graph_builder.ts";
import { PixArtTransformer } from "../models/pixart/transformer_runner.ts";
import { PixArtTransformerConfig } from "../models/pixart/transformer_config.ts";
import { type Device, OnnxRuntimeNode } from "../runtime/onnxruntime_node.ts";
import { difference, median, wave, writeTransformer } from "./random_transformer.ts";

const TEXT_TOKENS = 20;

const { values: options } = parseArgs({
  options: {
    device: { type: "string", default: "webgpu" },
    sizes: { type: "string", default: "512,1024" },
    precisions: { type: "string", default: "float32,float16" },
    steps: { type: "string", default: "5" },
    layers: { type: "string", default: "28" },
    cpu: { type: "string", default: "512" },
  },
});
const list = (text: string): string[] => text.split(",").filter((part) => part !== "");

const folder = await Deno.makeTempDir({ prefix: "pixstage-bench-" });
try {
  const config = {
    _class_name: "PixArtTransformer2DModel",
    sample_size: 64,
    num_layers: Number(options.layers),
    caption_channels: 4096,
  };
  await writeTransformer(folder, config, "float16");
  const expected = new Map<number, Float32Array>();
  for (const size of list(options.cpu).map(Number)) {
    expected.set(
      size,
      (await step({ device: "cpu", weightType: "float32", guidanceBranches: 1 }, [size], 0)).get(size)!,
    );
  }
  for (const precision of list(options.precisions)) {
    for (const guidanceBranches of [1, 2] as const) {
      const stepConfig = {
        device: options.device as Device,
        weightType: precision as ComputeType,
        guidanceBranches,
      };
      const given = await step(stepConfig, list(options.sizes).map(Number), Number(options.steps));
      for (const [size, noise] of given) {
        const right = expected.get(size);
        if (right) {
          print(`${precision} ${size}: differs from the CPU by ${difference(noise, right).toExponential(1)}`);
        }
      }
    }
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}

/** The configuration of a step. */
interface StepConfig {
  readonly device: Device;
  readonly weightType: ComputeType;
  readonly guidanceBranches: 1 | 2;
}

/**
 * Runs a step at each size once to warm up and then `steps` times, prints the times, and returns the
 * predictions.
 */
async function step(
  { device, weightType, guidanceBranches }: StepConfig,
  sizes: readonly number[],
  steps: number,
): Promise<Map<number, Float32Array>> {
  const component = await openComponent(await openDiskSource(folder), { component: "transformer" });
  const config = PixArtTransformerConfig.parse(component.config);
  const runtime = new OnnxRuntimeNode({ device });
  let start = performance.now();
  await using transformer = PixArtTransformer.open(runtime, config, await component.weights(), {
    weightType,
    guidanceBranches,
  });
  const name = `${device} ${weightType}, ${
    guidanceBranches === 1 ? "one branch at a time" : "both branches at once"
  }`;
  print(`${name}: opened in ${seconds(start).toFixed(2)} s`);
  const texts = [];
  for (const seed of [2, 3]) {
    texts.push(await transformer.prepareText(wave([TEXT_TOKENS, config.caption_channels!], seed)));
  }
  const given = new Map<number, Float32Array>();
  for (const size of sizes) {
    const latents = wave([1, config.in_channels, size / 8, size / 8], 1);
    const times: number[] = [];
    for (let index = 0; index <= steps; index++) {
      start = performance.now();
      const outputs = await transformer.predictEach(
        texts.map((text) => ({ latents, timestep: 500, text })),
      );
      given.set(size, outputs[1]!.data);
      times.push(seconds(start));
    }
    const [first = 0, ...others] = times;
    const { gpuPeak, peak } = runtime.memory();
    print(
      `${name}, ${size}: first ${first.toFixed(3)} s` +
        (others.length === 0 ? "" : `, then ${median(others).toFixed(3)} s per step`) +
        `, resident ${prettyBytes(peak ?? 0)}` +
        (gpuPeak === undefined ? "" : `, GPU ${prettyBytes(gpuPeak)}`),
    );
  }
  return given;
}

function seconds(start: number): number {
  return (performance.now() - start) / 1000;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
