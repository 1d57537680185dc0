// This module is browser compatible.

/**
 * Seeds as PyTorch interprets them.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";

const LOWEST = -(2n ** 63n);
const HIGHEST = 2n ** 64n - 1n;

/**
 * Converts a seed to the 64 bits that PyTorch uses: negative seeds wrap around, so -1 is 2^64 - 1.
 *
 * @param seed From -2^63 to 2^64 - 1.
 * @returns The seed from 0 to 2^64 - 1.
 * @throws {InputError} if the seed is out of range, or a number that is not an integer or is too large to be
 * exact.
 */
export function seed64(seed: bigint | number): bigint {
  if (typeof seed === "number" && !Number.isSafeInteger(seed)) {
    throw new InputError(
      "out_of_range",
      `A seed given as a number must be an integer within 2^53; give a bigint beyond that: current value is ${seed}`,
    );
  }
  const whole = BigInt(seed);
  if (whole < LOWEST || whole > HIGHEST) {
    throw new InputError(
      "out_of_range",
      `A seed must be from -2^63 to 2^64 - 1: current value is ${whole}`,
      { details: { field: "seeds" } },
    );
  }
  return BigInt.asUintN(64, whole);
}
