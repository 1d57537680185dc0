import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { type FloatDType, toFloat32 } from "../../artifacts/half_precision.ts";
import { decodeSafetensors } from "../../artifacts/safetensors.ts";
import { elementCount } from "../../artifacts/tensor.ts";
import { MersenneTwister } from "../../random/mersenne_twister.ts";
import { TorchGenerator } from "../../random/torch_generator.ts";
import { log32, sincos32 } from "../../random/vector_math.ts";
import { goldenJson, goldenPath } from "../goldens.ts";

interface Goldens {
  randn: { seed: string; shape: number[]; sha256: { avx512: string }; first?: string; last?: string }[];
  randn_other_dtypes: { seed: string; shape: number[]; dtype: string; tensor: string }[];
  sequences: { seed: string; draws: number[]; tensors: string[] }[];
  randn_tensor_generator_list: { seeds: number[]; shape: number[]; tensor: string }[];
  randn_tensor_single_generator: { seed: number; shape: number[]; tensor: string }[];
  seeds_out_of_range: { seed: string }[];
}

const goldens = goldenJson<Goldens>("units/rng.json");
const stored =
  decodeSafetensors(new Uint8Array(readFileSync(goldenPath("units/rng.safetensors"))), "rng").tensors;

function storedValues(name: string): Float32Array {
  return toFloat32(stored[name]!).data;
}

function sha256(values: Float32Array): string {
  return createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex");
}

Deno.test("the reference values include all cases", () => {
  const counts = Object.entries(goldens).flatMap(([name, cases]) =>
    Array.isArray(cases) ? [[name, cases.length]] : []
  );
  assert.deepEqual(Object.fromEntries(counts), {
    randn: 104,
    randn_other_dtypes: 36,
    sequences: 3,
    randn_tensor_generator_list: 3,
    randn_tensor_single_generator: 2,
    seeds_out_of_range: 2,
    notes: 4,
  });
});

Deno.test("randn() returns torch's vectorised CPU noise bit for bit for every seed and size", () => {
  for (const { seed, shape, sha256: expected, first, last } of goldens.randn) {
    const values = new TorchGenerator(BigInt(seed)).randn(elementCount(shape));
    assert.equal(sha256(values), expected.avx512, `seed ${seed}, [${shape}]`);
    if (first) assert.deepEqual(values.subarray(0, 64), storedValues(first));
    if (last) assert.deepEqual(values.subarray(-64), storedValues(last));
  }
});

Deno.test("randn() returns torch's float16 and bfloat16 noise bit for bit", () => {
  const names: Readonly<Record<string, FloatDType>> = { F16: "float16", BF16: "bfloat16" };
  for (const { seed, shape, dtype, tensor } of goldens.randn_other_dtypes) {
    const name = names[dtype];
    if (name === undefined) continue;
    const values = new TorchGenerator(BigInt(seed)).randn(elementCount(shape), name);
    assert.deepEqual(values, storedValues(tensor), tensor);
  }
});

Deno.test("randn() continues a stream like torch, also from a restored state", () => {
  for (const { seed, draws, tensors } of goldens.sequences) {
    let generator = new TorchGenerator(BigInt(seed));
    draws.forEach((count, index) => {
      const values = generator.randn(count);
      assert.deepEqual(values.subarray(0, 64), storedValues(tensors[index]!), tensors[index]);
      generator = TorchGenerator.restore(JSON.parse(JSON.stringify(generator.state())));
    });
  }
});

Deno.test("a generator per image and one for the batch draw like diffusers' randn_tensor", () => {
  for (const { seeds, shape, tensor } of goldens.randn_tensor_generator_list) {
    // A list of one generator draws the whole batch from it.
    const each = elementCount(shape) / seeds.length;
    const values = seeds.flatMap((seed) => [...new TorchGenerator(seed).randn(each)]);
    assert.deepEqual(new Float32Array(values), storedValues(tensor), tensor);
  }
  for (const { seed, shape, tensor } of goldens.randn_tensor_single_generator) {
    assert.deepEqual(new TorchGenerator(seed).randn(elementCount(shape)), storedValues(tensor), tensor);
  }
});

Deno.test("seeds that torch refuses are refused", () => {
  for (const { seed } of goldens.seeds_out_of_range) {
    assert.throws(() => new TorchGenerator(BigInt(seed)), { code: "out_of_range" });
  }
});

Deno.test("fractional and inexact seeds are refused", () => {
  for (const seed of [0.5, NaN, Infinity, 2 ** 53]) {
    assert.throws(() => new TorchGenerator(seed), { code: "out_of_range" });
  }
});

Deno.test("MersenneTwister returns the 10000th number that the C++ standard specifies", () => {
  const twister = MersenneTwister.fromSeed(5489);
  for (let index = 1; index < 10_000; index++) twister.uint32();
  assert.equal(twister.uint32(), 4123659995);
});

Deno.test("log32() and sincos32() stay within two units in the last place of the true values", () => {
  const wave = new Float32Array(2);
  const error = (actual: number, expected: number) =>
    Math.abs(actual - expected) / Math.max(Math.abs(expected), 2 ** -3) / 2 ** -23;
  let worst = 0;
  for (let step = 1; step <= 1 << 24; step += 1009) {
    const uniform = step * 2 ** -24;
    worst = Math.max(worst, error(log32(uniform), Math.log(uniform)));
    const angle = Math.fround(2 * Math.PI * uniform);
    sincos32(angle, wave);
    worst = Math.max(worst, error(wave[0]!, Math.sin(angle)), error(wave[1]!, Math.cos(angle)));
  }
  assert(worst < 2, `${worst}`);
});
