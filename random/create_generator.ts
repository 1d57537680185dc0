// This module is browser compatible.

/**
 * Generators of normally distributed noise that reproduce PyTorch's numbers for the same seed.
 *
 * @module
 */

import { z } from "zod";
import type { JsonValue } from "../artifacts/artifact.ts";
import { parseValue } from "../errors/parse_value.ts";
import { InputError } from "../errors/pixstage_error.ts";
import type { NoiseGenerator } from "./noise_generator.ts";
import { PhiloxGenerator } from "./philox_generator.ts";
import { TorchGenerator } from "./torch_generator.ts";

/** The generator that is reproduced: PyTorch's CPU generator or its CUDA generator. */
export type GeneratorKind = "torch-cpu" | "torch-cuda";

const StateSchema = z.discriminatedUnion("kind", [TorchGenerator.stateSchema, PhiloxGenerator.stateSchema]);

/**
 * Creates a noise generator.
 *
 * @param kind The generator to reproduce.
 * @param seed From -2^63 to 2^64 - 1.
 * @returns The generator at the start of its stream.
 * @throws {InputError} if the seed is out of range or not an integer.
 *
 * @example Usage
 * ```ts
 * import { createGenerator } from "./create_generator.ts";
 * const noise = createGenerator("torch-cpu", 0).randn(4 * 64 * 64);
 * console.assert(noise[0] === Math.fround(-1.1258398));
 * ```
 */
export function createGenerator(kind: GeneratorKind, seed: bigint | number): NoiseGenerator {
  switch (kind) {
    case "torch-cpu":
      return new TorchGenerator(seed);
    case "torch-cuda":
      return new PhiloxGenerator(seed);
  }
}

/**
 * Restores a generator from its saved state.
 *
 * @param state The result of the generator's `state()`.
 * @returns A generator that continues the stream.
 * @throws {InputError} if the value is not the state of a generator.
 */
export function restoreGenerator(state: JsonValue): NoiseGenerator {
  const parsed = parseValue(
    StateSchema,
    state,
    ({ clause }, options) =>
      new InputError(
        "invalid_value",
        `Cannot restore a noise generator: ${clause}`,
        options,
      ),
  );
  return parsed.kind === "torch-cpu" ? TorchGenerator.restore(parsed) : PhiloxGenerator.restore(parsed);
}
