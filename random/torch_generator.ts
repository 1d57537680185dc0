// This module is browser compatible.

/**
 * Noise as PyTorch draws it from a generator on the CPU.
 *
 * @module
 */

import { z } from "zod";
import { fromBase64, toBase64 } from "../artifacts/base64.ts";
import { type FloatDType, fromFloat32, toFloat32 } from "../artifacts/half_precision.ts";
import { tensor } from "../artifacts/tensor.ts";
import { MersenneTwister, STATE_WORDS } from "./mersenne_twister.ts";
import type { NoiseGenerator } from "./noise_generator.ts";
import { seed64 } from "./seed.ts";
import { log32, sincos32 } from "./vector_math.ts";

/** Where a {@linkcode TorchGenerator} stands, as JSON. */
export type TorchGeneratorState = z.infer<typeof TorchGenerator.stateSchema>;

/** Draws of at least this many numbers are made in blocks of this many. */
const BLOCK = 16;
const HALF_BLOCK = BLOCK / 2;
const TWO_PI = Math.fround(2 * Math.PI);
const STATE_BYTES = 4 * STATE_WORDS;

const wave = new Float32Array(2);

/**
 * The numbers of `torch.randn(…, generator=torch.Generator("cpu").manual_seed(seed))`, bit for bit those of its AVX2
 * and AVX-512 code paths (PyTorch's scalar path differs from them in the last bits, by up to 2e-6).
 *
 * A draw of 16 and more numbers makes Box-Muller pairs in blocks of 16; where the count is no multiple of 16, the last
 * 16 numbers are drawn again. A smaller draw makes pairs in float64 and keeps the second of a pair for the next small
 * draw. So one draw of 32 is not two draws of 16 and 20 is not 16 and 4: draw what PyTorch draws at once.
 *
 * Source: PyTorch 2.13, `aten/src/ATen/native/cpu/DistributionTemplates.h` and
 * `aten/src/ATen/core/DistributionsHelper.h`. float16 and bfloat16 draws are those of that version; older ones drew
 * from fewer random bits.
 *
 * @example Usage
 * ```ts
 * import { TorchGenerator } from "./torch_generator.ts";
 * const generator = new TorchGenerator(42);
 * const latents = generator.randn(1 * 4 * 64 * 64);
 * console.assert(latents[0] === Math.fround(1.9269152879714966));
 * ```
 */
export class TorchGenerator implements NoiseGenerator {
  /** What `state()` gives and `restore()` takes. */
  static readonly stateSchema = z.strictObject({
    /** Whose state this is. */
    kind: z.literal("torch-cpu"),
    /** The 624 words of the twister, little endian, in base64. */
    words: z.base64().refine((text) => decodedLength(text) === STATE_BYTES, `must hold ${STATE_BYTES} bytes`),
    /** Index of the word that comes next. */
    next: z.int().min(0).max(STATE_WORDS),
    /** The second number of a pair, kept for the next small draw. */
    kept: z.number().nullable(),
  });

  #twister: MersenneTwister;
  #kept: number | null = null;

  /**
   * @param seed From -2^63 to 2^64 - 1. As in PyTorch, its low 32 bits alone count.
   * @throws {InputError} if it is out of range or not whole.
   */
  constructor(seed: bigint | number) {
    this.#twister = MersenneTwister.fromSeed(Number(BigInt.asUintN(32, seed64(seed))));
  }

  /**
   * Goes on where a generator stood.
   *
   * @param state What its `state()` gave.
   * @returns A generator that gives the numbers it would have given next.
   */
  static restore(state: TorchGeneratorState): TorchGenerator {
    const words = new Uint32Array(fromBase64(state.words).buffer);
    const generator = new TorchGenerator(0);
    generator.#twister = new MersenneTwister(words, state.next);
    generator.#kept = state.kept;
    return generator;
  }

  /** Where the stream stands. */
  state(): TorchGeneratorState {
    const words = toBase64(new Uint8Array(this.#twister.words.buffer));
    return { kind: "torch-cpu", words, next: this.#twister.next, kept: this.#kept };
  }

  /**
   * The numbers that `torch.randn` gives next.
   *
   * @param count How many are drawn at once.
   * @param dtype The type of the tensor that PyTorch would fill; what is returned are float32 numbers that it can hold.
   * @default {"float32"}
   * @returns The numbers.
   */
  randn(count: number, dtype: FloatDType = "float32"): Float32Array {
    const values = new Float32Array(count);
    if (count < BLOCK) this.#fillSmall(values);
    else this.#fillBlocks(values, dtype);
    return toFloat32(tensor(dtype, [count], fromFloat32(values, dtype))).data;
  }

  #fillSmall(values: Float32Array): void {
    for (let index = 0; index < values.length; index++) values[index] = this.#normal();
  }

  /** One normal number by Box-Muller in float64, or the other one of the pair before. */
  #normal(): number {
    if (this.#kept !== null) {
      const kept = this.#kept;
      this.#kept = null;
      return kept;
    }
    const angle = 2 * Math.PI * this.#uniform53();
    const radius = Math.sqrt(-2 * Math.log1p(-this.#uniform53()));
    this.#kept = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  #fillBlocks(values: Float32Array, dtype: FloatDType): void {
    const { length } = values;
    const rest = length % BLOCK;
    // Into float32 PyTorch draws uniform numbers for the whole tensor, into 16 bit types for whole blocks alone.
    const drawn = dtype === "float32" ? length : length - rest;
    for (let index = 0; index < drawn; index++) values[index] = this.#uniform24();
    for (let start = 0; start + BLOCK <= length; start += BLOCK) boxMuller(values, start);
    if (rest === 0) return;
    for (let index = length - BLOCK; index < length; index++) values[index] = this.#uniform24();
    boxMuller(values, length - BLOCK);
  }

  /** A multiple of 2^-24 from 0 to below 1. */
  #uniform24(): number {
    return (this.#twister.uint32() & 0xffffff) * 2 ** -24;
  }

  /** A multiple of 2^-53 from 0 to below 1. */
  #uniform53(): number {
    const high = this.#twister.uint32() & 0x1fffff;
    return (high * 2 ** 32 + this.#twister.uint32()) * 2 ** -53;
  }
}

/** Turns a block of uniform numbers into normal ones: each of the first eight with the one eight places after it. */
function boxMuller(values: Float32Array, start: number): void {
  const { fround } = Math;
  for (let index = start; index < start + HALF_BLOCK; index++) {
    const radius = fround(Math.sqrt(-2 * log32(fround(1 - values[index]!))));
    sincos32(fround(TWO_PI * values[index + HALF_BLOCK]!), wave);
    // Adding 0 makes -0 into 0, as adding the mean does in PyTorch.
    values[index] = fround(radius * wave[1]!) + 0;
    values[index + HALF_BLOCK] = fround(radius * wave[0]!) + 0;
  }
}

function decodedLength(base64: string): number {
  return Math.floor(base64.replace(/=+$/, "").length * 3 / 4);
}
