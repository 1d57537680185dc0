// This module is browser compatible.

/**
 * Seeds as PyTorch takes them.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";

const LOWEST = -(2n ** 63n);
const HIGHEST = 2n ** 64n - 1n;

/**
 * A seed as the 64 bits that PyTorch makes of it: negative ones count from 2^64 down, so -1 is 2^64 - 1.
 *
 * @param seed From -2^63 to 2^64 - 1.
 * @returns The seed from 0 to 2^64 - 1.
 * @throws {InputError} if it is out of range, or a number that is not whole or too large to be exact.
 */
export function seed64(seed: bigint | number): bigint {
  if (typeof seed === "number" && !Number.isSafeInteger(seed)) {
    throw new InputError(
      "out_of_range",
      `Cannot use a number as a seed as it must be whole and within 2^53, or a bigint: current value is ${seed}`,
    );
  }
  const whole = BigInt(seed);
  if (whole < LOWEST || whole > HIGHEST) {
    throw new InputError(
      "out_of_range",
      `Cannot use a seed as it must be from -2^63 to 2^64 - 1: current value is ${whole}`,
      { details: { field: "seeds" } },
    );
  }
  return BigInt.asUintN(64, whole);
}
