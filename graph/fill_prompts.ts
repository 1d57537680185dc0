// This module is browser compatible.

import { InputError } from "../errors/pixstage_error.ts";
import { MersenneTwister } from "../random/mersenne_twister.ts";
import { imageSeeds } from "../stages/denoise/settings.ts";
import { fillWildcards } from "../text/wildcards.ts";
import type { PictureRequestInput } from "./picture_request.ts";

/**
 * Fills in the wildcards of a request's prompts. Each picture gets its own prompt, drawn with its own seed:
 * picture i of a batch equals the picture that seed + i makes alone.
 *
 * @param request The request.
 * @returns The request with one prompt and one seed per picture, or the same request if it does not ask for
 * wildcards.
 * @throws {InputError} if there is no prompt, or its braces do not match.
 */
export function fillPrompts({ wildcards, ...request }: PictureRequestInput): PictureRequestInput {
  if (!wildcards) return request;
  const { prompts = [], imagesPerPrompt = 1, seeds = [0], negativePrompt } = request;
  if (prompts.length === 0) {
    throw new InputError("invalid_value", "Cannot fill in wildcards without a prompt", {
      details: { field: "wildcards" },
    });
  }
  const promptOf = (image: number): number => Math.floor(image / imagesPerPrompt);
  const all = imageSeeds(seeds, prompts.length * imagesPerPrompt);
  const eachNegative = Array.isArray(negativePrompt) && negativePrompt.length > 1;
  return {
    ...request,
    prompts: all.map((seed, image) => fillWildcards(prompts[promptOf(image)]!, drawBy(seed))),
    seeds: all.map(String),
    imagesPerPrompt: 1,
    ...(eachNegative
      ? { negativePrompt: all.map((_seed, image) => negativePrompt[promptOf(image)] ?? "") }
      : {}),
  };
}

/** Returns a function that draws uniformly distributed whole numbers from a seed. */
function drawBy(seed: bigint): (below: number) => number {
  const words = MersenneTwister.fromSeed(Number(BigInt.asUintN(32, seed)));
  return (below) => Math.floor(words.uint32() / 2 ** 32 * below);
}
