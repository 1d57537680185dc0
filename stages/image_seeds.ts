// This module is browser compatible.

import { InputError } from "../errors/pixstage_error.ts";

/**
 * The seed of each image: image i of a batch is the image that seed + i gives alone.
 *
 * @param seeds One seed for all, or one for each image.
 * @param images How many images.
 * @returns One seed for each image.
 * @throws {InputError} if there are several seeds, but not one for each image.
 */
export function imageSeeds(seeds: readonly (number | string)[], images: number): bigint[] {
  const given = seeds.map(BigInt);
  if (given.length === 1) return Array.from({ length: images }, (_, image) => given[0]! + BigInt(image));
  if (given.length !== images) {
    throw new InputError(
      "invalid_value",
      `Cannot seed the images as there must be 1 seed or ${images}: there are ${given.length}`,
    );
  }
  return given;
}
