/**
 * Measures the relative error of products with quantized matrices and normally distributed activations, over
 * the matrices of the embedded model's transformer and text encoder, and over those of a block of PixArt-XL
 * with random weights.
 *
 *     deno run -A bench/product_error.ts [--precision int8-blocks,int4-lowrank,int4] [--rows 64]
 *
 * @module
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { tensor } from "../artifacts/tensor.ts";
import { type Component, openComponent } from "../models/checkpoint/component.ts";
import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import type { Weights } from "../models/checkpoint/weights.ts";
import { Layers } from "../models/layers.ts";
import { GraphBuilder } from "../models/onnx/graph_builder.ts";
import { precisionSchema, type QuantizedPrecision } from "../models/precision.ts";
import { openQuantized } from "../models/quantization/open_quantized.ts";
import { isQuantized } from "../models/quantization/recipe.ts";
import { createGenerator } from "../random/create_generator.ts";
import { OnnxRuntimeNode } from "../runtime/onnxruntime_node.ts";
import { difference, median, writeTransformer } from "./random_transformer.ts";

const { values: options } = parseArgs({
  options: {
    precision: { type: "string", default: "int8-blocks,int4-lowrank,int4" },
    rows: { type: "string", default: "64" },
  },
});
const quantizedSchema = precisionSchema.exclude(["float32", "float16"]);
const precisions = options.precision.split(",").map((name) => quantizedSchema.parse(name));
const rows = Number(options.rows);
const runtime = new OnnxRuntimeNode();
const generator = createGenerator("torch-cpu", 0);
const embedded = new URL("../models/pixstage-emoji", import.meta.url).pathname;

const folder = await Deno.makeTempDir({ prefix: "pixstage-bench-" });
try {
  for (const component of ["transformer", "text_encoder"] as const) {
    await measure(
      `embedded ${component}`,
      await openComponent(await openDiskSource(embedded), { component }),
    );
  }
  const synthetic = join(folder, "synthetic");
  await Deno.mkdir(synthetic);
  await writeTransformer(synthetic, {
    _class_name: "PixArtTransformer2DModel",
    num_layers: 1,
    caption_channels: 4096,
    use_additional_conditions: false,
  }, "float16");
  await measure(
    "synthetic block",
    await openComponent(await openDiskSource(synthetic), { component: "transformer" }),
  );
} finally {
  await Deno.remove(folder, { recursive: true });
}

/** Prints the median error of a component's matrices, and the size of its quantized weights. */
async function measure(name: string, component: Component): Promise<void> {
  const plain = await component.weights();
  const modules = plain.names.filter((weight) => isQuantized(weight, plain.locate(weight).shape))
    .map((weight) => weight.slice(0, -".weight".length));
  const ways = [];
  for (const precision of precisions) ways.push(await openTimed(component, precision));
  const errors = ways.map((): number[] => []);
  for (const module of modules) {
    const [, columns = 0] = plain.locate(`${module}.weight`).shape;
    const x = generator.randn(rows * columns);
    const exact = await product(plain, module, x);
    for (const [index, { weights }] of ways.entries()) {
      errors[index]!.push(difference(await product(weights, module, x), exact));
    }
  }
  const weightsOf = (weights: Weights): number =>
    modules.reduce((sum, module) => sum + weights.locate(`${module}.weight`).length, 0);
  const count = modules.reduce((sum, module) => {
    const [output = 0, input = 0] = plain.locate(`${module}.weight`).shape;
    return sum + output * input;
  }, 0);
  for (const [index, { weights, seconds }] of ways.entries()) {
    const [middle, largest] = [median(errors[index]!), Math.max(...errors[index]!)];
    print(
      `${name}, ${precisions[index]}: median ${percent(middle)}, largest ${percent(largest)}, ` +
        `${(8 * weightsOf(weights) / count).toFixed(2)} bits per weight, ` +
        `written in ${(1e9 * seconds / count).toFixed(0)} ns per weight`,
    );
  }
}

async function openTimed(
  component: Component,
  precision: QuantizedPrecision,
): Promise<{ weights: Weights; seconds: number }> {
  const start = performance.now();
  const weights = await openQuantized(component, precision, join(folder, "quantized"));
  return { weights, seconds: (performance.now() - start) / 1000 };
}

/** Computes a linear layer without its bias. */
async function product(weights: Weights, module: string, x: Float32Array): Promise<Float32Array> {
  const [output = 0, input = 0] = weights.locate(`${module}.weight`).shape;
  const g = new GraphBuilder();
  const rows = g.input("x", "float32", ["rows", input]);
  g.output("y", new Layers(g, weights).linear(module, rows, input, output, { bias: false }), [
    "rows",
    output,
  ]);
  await using session = await runtime.open(g.build("product"));
  const { y } = await session.run({ x: tensor("float32", [x.length / input, input], x) });
  return y!.data as Float32Array;
}

function percent(value: number): string {
  return `${(100 * value).toFixed(2)} %`;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
