// This module is browser compatible.

/**
 * Noise as PyTorch's generator on the CPU draws it.
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

/** The state of a {@linkcode TorchGenerator}, as JSON. */
export type TorchGeneratorState = z.infer<typeof TorchGenerator.stateSchema>;

/** Draws of at least this many numbers are made in blocks of this size. */
const BLOCK = 16;
const HALF_BLOCK = BLOCK / 2;
const TWO_PI = Math.fround(2 * Math.PI);
const STATE_BYTES = 4 * STATE_WORDS;

const wave = new Float32Array(2);

/**
 * Reproduces `torch.randn(…, generator=torch.Generator("cpu").manual_seed(seed))` bit for bit as PyTorch's
 * AVX2 and AVX-512 code paths compute it. PyTorch's scalar path differs from them in the last bits, by up to
 * 2e-6.
 *
 * A draw of 16 or more numbers makes Box-Muller pairs in blocks of 16; if the count is not a multiple of 16,
 * the last 16 numbers are drawn again. A smaller draw makes pairs in float64 and keeps the second number of a
 * pair for the next small draw. So a draw of 32 differs from two draws of 16, and a draw of 20 from draws of
 * 16 and 4: draw the same counts as PyTorch.
 *
 * Source: PyTorch 2.13, `aten/src/ATen/native/cpu/DistributionTemplates.h` and
 * `aten/src/ATen/core/DistributionsHelper.h`. float16 and bfloat16 draws follow that version; older versions
 * drew from fewer random bits.
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
  /** The schema of what `state()` returns and `restore()` accepts. */
  static readonly stateSchema = z.strictObject({
    /** The generator that the state belongs to. */
    kind: z.literal("torch-cpu"),
    /** The 624 words of the twister, little-endian, in base64. */
    words: z.base64().refine(
      (text) => decodedLength(text) === STATE_BYTES,
      `must encode ${STATE_BYTES} bytes`,
    ),
    /** The index of the next word. */
    next: z.int().min(0).max(STATE_WORDS),
    /** The second number of a pair, kept for the next small draw. */
    kept: z.number().nullable(),
  });

  #twister: MersenneTwister;
  #kept: number | null = null;

  /**
   * @param seed From -2^63 to 2^64 - 1. As in PyTorch, only its low 32 bits matter.
   * @throws {InputError} if the seed is out of range or not an integer.
   */
  constructor(seed: bigint | number) {
    this.#twister = MersenneTwister.fromSeed(Number(BigInt.asUintN(32, seed64(seed))));
  }

  /**
   * Restores a generator from its saved state.
   *
   * @param state The result of the generator's `state()`.
   * @returns A generator that continues the stream.
   */
  static restore(state: TorchGeneratorState): TorchGenerator {
    const words = new Uint32Array(fromBase64(state.words).buffer);
    const generator = new TorchGenerator(0);
    generator.#twister = new MersenneTwister(words, state.next);
    generator.#kept = state.kept;
    return generator;
  }

  /** Returns the position in the stream. */
  state(): TorchGeneratorState {
    const words = toBase64(new Uint8Array(this.#twister.words.buffer));
    return { kind: "torch-cpu", words, next: this.#twister.next, kept: this.#kept };
  }

  /**
   * Returns the next numbers of `torch.randn`.
   *
   * @param count The number of values to draw at once.
   * @param dtype The type of the tensor that PyTorch would fill. The result is float32 with values of that
   * type.
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

  /** Returns a normal number: a new one by Box-Muller in float64, or the second one of the last pair. */
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
    // PyTorch draws uniform numbers for the whole float32 tensor, but only for whole blocks of a 16-bit one.
    const drawn = dtype === "float32" ? length : length - rest;
    for (let index = 0; index < drawn; index++) values[index] = this.#uniform24();
    for (let start = 0; start + BLOCK <= length; start += BLOCK) boxMuller(values, start);
    if (rest === 0) return;
    for (let index = length - BLOCK; index < length; index++) values[index] = this.#uniform24();
    boxMuller(values, length - BLOCK);
  }

  /** Returns a multiple of 2^-24 from 0 to below 1. */
  #uniform24(): number {
    return (this.#twister.uint32() & 0xffffff) * 2 ** -24;
  }

  /** Returns a multiple of 2^-53 from 0 to below 1. */
  #uniform53(): number {
    const high = this.#twister.uint32() & 0x1fffff;
    return (high * 2 ** 32 + this.#twister.uint32()) * 2 ** -53;
  }
}

/**
 * Turns a block of uniform numbers into normal ones. Each of the first eight is paired with the number eight
 * places after it.
 */
function boxMuller(values: Float32Array, start: number): void {
  const { fround } = Math;
  for (let index = start; index < start + HALF_BLOCK; index++) {
    const radius = fround(Math.sqrt(-2 * log32(fround(1 - values[index]!))));
    sincos32(fround(TWO_PI * values[index + HALF_BLOCK]!), wave);
    // Adding 0 turns -0 into 0, like adding the mean in PyTorch.
    values[index] = fround(radius * wave[1]!) + 0;
    values[index + HALF_BLOCK] = fround(radius * wave[0]!) + 0;
  }
}

function decodedLength(base64: string): number {
  return Math.floor(base64.replace(/=+$/, "").length * 3 / 4);
}
