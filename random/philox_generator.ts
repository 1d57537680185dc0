// This module is browser compatible.

/**
 * Noise as PyTorch's generator on a CUDA device draws it.
 *
 * @module
 */

import { z } from "zod";
import { type FloatDType, fromFloat32, toFloat32 } from "../artifacts/half_precision.ts";
import { tensor } from "../artifacts/tensor.ts";
import { InputError } from "../errors/pixstage_error.ts";
import type { NoiseGenerator } from "./noise_generator.ts";
import { philox4x32 } from "./philox.ts";
import { seed64 } from "./seed.ts";

/** The state of a {@linkcode PhiloxGenerator}, as JSON. */
export type PhiloxGeneratorState = z.infer<typeof PhiloxGenerator.stateSchema>;

/**
 * The device to reproduce. Draws of more numbers than it has threads depend on how it assigns numbers to
 * threads.
 */
export interface PhiloxOptions {
  /**
   * The number of resident threads: multiprocessors times threads of each,
   * `multi_processor_count * max_threads_per_multi_processor` of `torch.cuda.get_device_properties`. An H100
   * or H200 has 132 * 2048, an RTX 4090 128 * 1536.
   *
   * @default {270336}
   */
  readonly threads?: number;
}

const DEFAULT_THREADS = 132 * 2048;
const BLOCK = 256;
/** One step of Philox yields four words; Box-Muller turns them into four numbers. */
const PER_STEP = 4;
/** The angle of one unit of a word: a full turn is 2^32. */
const TURN = Math.fround(2 * Math.PI * 2 ** -32);

/**
 * Reproduces `torch.randn(…, device="cuda", generator=torch.Generator("cuda").manual_seed(seed))`.
 *
 * Every thread of the device has its own Philox sequence, and every number belongs to a thread. Up to
 * {@linkcode PhiloxOptions} `threads` numbers, thread i draws only number i, so the noise of latents of the
 * usual sizes is the same on every large device. Verified against an H200 under PyTorch 2.11, over draws of 1
 * to 1,200,000 numbers, sequences of draws and 16-bit types: within 3e-6 of the reference. The last bits
 * differ because the device's sine, cosine and logarithm are approximations. Devices with fewer threads
 * follow from the same source but were not available for a check.
 *
 * Source: PyTorch, `aten/src/ATen/native/cuda/DistributionTemplates.h`; cuRAND's `curand_normal4` for
 * `curandStatePhilox4_32_10_t`.
 *
 * @example Usage
 * ```ts
 * import { PhiloxGenerator } from "./philox_generator.ts";
 * const latents = new PhiloxGenerator(42).randn(1 * 4 * 64 * 64);
 * console.assert(Math.abs(latents[0]! - 0.1940) < 1e-4);
 * ```
 */
export class PhiloxGenerator implements NoiseGenerator {
  /** The schema of what `state()` returns and `restore()` accepts. */
  static readonly stateSchema = z.strictObject({
    /** The generator that the state belongs to. */
    kind: z.literal("torch-cuda"),
    /** The seed, from 0 to 2^64 - 1, in decimal digits. */
    seed: z.string().regex(/^\d{1,20}$/).refine((digits) => BigInt(digits) < 2n ** 64n, "must be below 2^64"),
    /** The number of Philox steps that every thread has made. */
    steps: z.int().min(0),
    /** The number of resident threads. */
    threads: z.int().min(BLOCK),
  });

  #seed: bigint;
  #threads: number;
  #steps = 0;

  /**
   * @param seed From -2^63 to 2^64 - 1; all 64 bits matter.
   * @param options The device to reproduce.
   * @throws {InputError} if the seed or the number of threads is out of range.
   */
  constructor(seed: bigint | number, options: PhiloxOptions = {}) {
    const { threads = DEFAULT_THREADS } = options;
    if (!Number.isSafeInteger(threads) || threads < BLOCK) {
      throw new InputError(
        "out_of_range",
        `Cannot create a generator because threads must be at least ${BLOCK}: current value is ${threads}`,
      );
    }
    this.#seed = seed64(seed);
    this.#threads = threads;
  }

  /**
   * Restores a generator from its saved state.
   *
   * @param state The result of the generator's `state()`.
   * @returns A generator that continues the stream.
   */
  static restore(state: PhiloxGeneratorState): PhiloxGenerator {
    const generator = new PhiloxGenerator(BigInt(state.seed), { threads: state.threads });
    generator.#steps = state.steps;
    return generator;
  }

  /** Returns the position in the stream. */
  state(): PhiloxGeneratorState {
    return { kind: "torch-cuda", seed: String(this.#seed), steps: this.#steps, threads: this.#threads };
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
    if (count === 0) return values;
    const blocks = Math.min(Math.ceil(count / BLOCK), Math.floor(this.#threads / BLOCK));
    const threads = BLOCK * blocks;
    const steps = Math.ceil(count / (threads * PER_STEP));
    const key = [Number(this.#seed & 0xffffffffn), Number(this.#seed >> 32n)] as const;
    const words = new Uint32Array(PER_STEP);
    const normals = new Float32Array(PER_STEP);
    for (let step = 0; step < steps; step++) {
      const base = step * threads * PER_STEP;
      for (let thread = 0; thread < threads && base + thread < count; thread++) {
        const position = this.#steps + step;
        words[0] = position;
        words[1] = Math.floor(position / 2 ** 32);
        words[2] = thread;
        words[3] = 0;
        philox4x32(words, key);
        boxMuller(words, normals);
        for (let part = 0; part < PER_STEP; part++) {
          const index = base + part * threads + thread;
          if (index < count) values[index] = normals[part]!;
        }
      }
    }
    this.#steps += steps;
    return toFloat32(tensor(dtype, [count], fromFloat32(values, dtype))).data;
  }
}

/** Turns two pairs of words into two pairs of normal numbers, the sine first. */
function boxMuller(words: Uint32Array, normals: Float32Array): void {
  const { fround } = Math;
  for (let index = 0; index < PER_STEP; index += 2) {
    const uniform = fround(fround(words[index]!) * 2 ** -32 + 2 ** -33);
    const angle = fround(fround(words[index + 1]!) * TURN + TURN / 2);
    const radius = fround(Math.sqrt(fround(-2 * fround(Math.log(uniform)))));
    normals[index] = radius * fround(Math.sin(angle));
    normals[index + 1] = radius * fround(Math.cos(angle));
  }
}
