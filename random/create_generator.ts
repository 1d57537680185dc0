// This module is browser compatible.

/**
 * Generators of normally distributed noise that give the numbers PyTorch gives for the same seed.
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

/** Whose numbers a generator gives: those of PyTorch's CPU, or of its CUDA generator. */
export type GeneratorKind = "torch-cpu" | "torch-cuda";

const StateSchema = z.discriminatedUnion("kind", [TorchGenerator.stateSchema, PhiloxGenerator.stateSchema]);

/**
 * Makes a generator.
 *
 * @param kind Whose numbers it gives.
 * @param seed From -2^63 to 2^64 - 1.
 * @returns The generator at the start of its stream.
 * @throws {InputError} if the seed is out of range or not whole.
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
 * Goes on where a generator stood.
 *
 * @param state What its `state()` gave.
 * @returns A generator that gives the numbers it would have given next.
 * @throws {InputError} if that is no generator's state.
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
