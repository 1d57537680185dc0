/**
 * A transformer of PixArt-XL's size with random weights, and inputs for the benchmarks.
 *
 * @module
 */

import { join } from "node:path";
import { writeAtomically } from "../disk/atomic_write.ts";
import { type PlannedTensor, safetensorsHeaderBytes } from "../artifacts/safetensors_layout.ts";
import { type Tensor, tensor } from "../artifacts/tensor.ts";
import type { JsonObject } from "../artifacts/artifact.ts";
import { checkControlNet } from "../models/pixart/control_net.ts";
import { transformerWeights } from "../models/pixart/synthetic.ts";
import { PixArtTransformerConfig } from "../models/pixart/transformer_config.ts";
import { type RequiredWeight, requiredWeights } from "../models/synthetic/required_weights.ts";
import { RandomValues } from "../models/synthetic/random_values.ts";

const LARGEST_WEIGHT = 4 * 1152 * 1152;

/** Writes a transformer with random weights. */
export async function writeTransformer(
  folder: string,
  config: Record<string, string | number | boolean>,
  dtype: "float32" | "float16",
): Promise<void> {
  await writeComponent(folder, config, transformerWeights(config), dtype);
}

/** Writes a ControlNet with random weights and the given number of blocks for such a transformer. */
export async function writeControlNet(
  folder: string,
  transformer: JsonObject,
  blocks: number,
): Promise<void> {
  const config = { _class_name: "PixArtControlNetAdapterModel", num_layers: blocks };
  const parsed = PixArtTransformerConfig.parse(transformer);
  const required = requiredWeights((weights) => checkControlNet(parsed, { blocks, weights }));
  await writeComponent(folder, config, required, "float32");
}

async function writeComponent(
  folder: string,
  config: JsonObject,
  required: readonly RequiredWeight[],
  dtype: "float32" | "float16",
): Promise<void> {
  const weights = required.map((weight): PlannedTensor => ({ ...weight, dtype }));
  const values = new RandomValues(dtype, LARGEST_WEIGHT);
  await writeAtomically(join(folder, "config.json"), [new TextEncoder().encode(JSON.stringify(config))]);
  await writeAtomically(
    join(folder, "diffusion_pytorch_model.safetensors"),
    (function* () {
      yield safetensorsHeaderBytes(weights, { format: "pt" });
      for (const weight of weights) yield* values.bytes(weight);
    })(),
  );
}

/** Returns values that any program can reproduce. */
export function wave(shape: readonly number[], seed: number): Tensor<"float32"> {
  const length = shape.reduce((count, size) => count * size, 1);
  return tensor(
    "float32",
    shape,
    Float32Array.from({ length }, (_, i) => Math.sin(seed * (i % 100_003) ** 2)),
  );
}

/** Returns the median. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Returns the norm of the difference relative to the norm of `b`. */
export function difference(a: Float32Array, b: Float32Array): number {
  const square = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(square(a.map((value, i) => value - b[i]!)) / square(b));
}
