/**
 * Random numbers for tests. `TEST_SEED=42 deno task test` repeats the draws of that seed.
 *
 * @module
 */

import fc from "fast-check";
import { MersenneTwister } from "../random/mersenne_twister.ts";

const given = Deno.env.get("TEST_SEED");

/** The seed of this run. */
export const SEED: number = given === undefined
  ? crypto.getRandomValues(new Uint32Array(1))[0]!
  : Number(given);

// Without this, fast-check draws and prints its own seed.
if (given !== undefined) fc.configureGlobal({ seed: SEED | 0 });

export { fc };

/** Prints the seed, and returns a generator of numbers from 0 to below 1. */
export function seededRandom(): () => number {
  Deno.stderr.writeSync(new TextEncoder().encode(`TEST_SEED=${SEED} draws the same\n`));
  const twister = MersenneTwister.fromSeed(SEED);
  return () => twister.uint32() / 2 ** 32;
}
