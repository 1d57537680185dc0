// This module is browser compatible.

/**
 * The artifact that selects the part of a picture to repaint.
 *
 * @module
 */

import { type Artifact, ArtifactError } from "./artifact.ts";
import { toFloat32 } from "./half_precision.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Returns the tensor `mask` of an artifact of kind `mask` as float32.
 *
 * @param artifact A mask.
 * @returns `mask` [masks, 1, height, width] at the size of latents: 1 is repainted, 0 is kept.
 * @throws {ArtifactError} if the tensor is missing, its shape is wrong, or a value is not from 0 to 1.
 */
export function unpackMask(artifact: Pick<Artifact, "tensors">): Tensor<"float32"> {
  const mask = artifact.tensors["mask"];
  const { shape = [] } = mask ?? {};
  if (!mask || shape.length !== 4 || shape[1] !== 1 || shape.includes(0)) {
    throw new ArtifactError(
      `Cannot use a mask: its tensor "mask" must be [masks, 1, height, width], but its shape is ${
        mask ? `[${shape}]` : "not given"
      }`,
    );
  }
  const values = toFloat32(mask, "mask");
  const bad = values.data.findIndex((value) => !(value >= 0 && value <= 1));
  if (bad < 0) return values;
  throw new ArtifactError(
    `Cannot use a mask: all values must be from 0 to 1, but value ${bad} is ${values.data[bad]}`,
  );
}

/** Returns one mask, repeated for each channel of latents, flat. */
export function maskRow({ shape, data }: Tensor<"float32">, row: number, channels: number): Float32Array {
  const [, , height = 0, width = 0] = shape;
  const plane = height * width;
  const one = data.subarray(row * plane, (row + 1) * plane);
  const all = new Float32Array(channels * plane);
  for (let channel = 0; channel < channels; channel++) all.set(one, channel * plane);
  return all;
}
