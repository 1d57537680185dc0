/**
 * A transformer of PixArt-XL's size with random weights, and what the benchmarks feed it with.
 *
 * @module
 */

import { join } from "node:path";
import { writeAtomically } from "../artifacts/atomically.ts";
import { type PlannedTensor, safetensorsHeaderBytes } from "../artifacts/safetensors_layout.ts";
import { type Tensor, tensor } from "../artifacts/tensor.ts";
import { transformerWeights } from "../models/pixart/rehearsal.ts";
import { RandomValues } from "../models/rehearsal/random_values.ts";

const LARGEST_WEIGHT = 4 * 1152 * 1152;

/** Writes a transformer with random weights. */
export async function writeTransformer(
  folder: string,
  config: Record<string, string | number>,
  dtype: "float32" | "float16",
): Promise<void> {
  const weights = transformerWeights(config).map((weight): PlannedTensor => ({ ...weight, dtype }));
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

/** Values that any program can make alike. */
export function wave(shape: readonly number[], seed: number): Tensor<"float32"> {
  const length = shape.reduce((count, size) => count * size, 1);
  return tensor(
    "float32",
    shape,
    Float32Array.from({ length }, (_, i) => Math.sin(seed * (i % 100_003) ** 2)),
  );
}

/** The value in the middle. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Length of the difference over that of `b`. */
export function difference(a: Float32Array, b: Float32Array): number {
  const square = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(square(a.map((value, i) => value - b[i]!)) / square(b));
}
