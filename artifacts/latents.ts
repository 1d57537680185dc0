// This module is browser compatible.

/**
 * The artifact between denoise and decode: latents, not yet divided by the autoencoder's scaling factor.
 * Initial noise and encoded pictures are of the same kind. Encoded pictures can have a tensor `deviation`
 * next to the most likely latents, from which a run samples its own.
 *
 * @module
 */

import { z } from "zod";
import { parseValue } from "../errors/parse_value.ts";
import { type Artifact, ArtifactError } from "./artifact.ts";
import { toFloat32 } from "./half_precision.ts";
import { listNames } from "../errors/list_names.ts";
import { type Tensor, tensor } from "./tensor.ts";

/** The metadata of latents. Files from other programs have none of it. */
export const latentsMetadataSchema = z.looseObject({
  /** The requested size of the picture in pixels. Decoding resizes and crops to it. */
  size: z.object({ height: z.int().positive(), width: z.int().positive() }).optional(),
});

/** The metadata of latents. */
export type LatentsMetadata = z.infer<typeof latentsMetadataSchema>;

/**
 * Parses the metadata of latents.
 *
 * @throws {ArtifactError} if a field has the wrong type.
 */
export function latentsMetadata({ metadata }: Pick<Artifact, "metadata">): LatentsMetadata {
  return parseValue(
    latentsMetadataSchema,
    metadata,
    ({ clause }, options) => new ArtifactError(`Cannot use latents: in their metadata, ${clause}`, options),
  );
}

/**
 * Returns the tensor `latents` of an artifact as float32.
 *
 * @param artifact Latents from a stage or from a file.
 * @param channels Expected number of channels. The default is any number.
 * @returns `latents` [images, channels, height, width].
 * @throws {ArtifactError} if the tensor is missing, its shape is wrong, or a value is not finite.
 */
export function unpackLatents(artifact: Artifact, channels?: number): Tensor<"float32"> {
  const latents = artifact.tensors["latents"];
  if (!latents) {
    throw new ArtifactError(
      `Cannot use latents: the file must contain a tensor "latents", but contains ${
        listNames(Object.keys(artifact.tensors))
      }`,
    );
  }
  const { shape } = latents;
  if (shape.length !== 4 || shape[1] !== (channels ?? shape[1]) || shape.includes(0)) {
    throw new ArtifactError(
      `Cannot use latents: they must be [images, ${
        channels ?? "channels"
      }, height, width], but their shape is [${shape}]`,
    );
  }
  const values = toFloat32(latents, "latents");
  const bad = values.data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new ArtifactError(
      `Cannot use latents: all values must be finite, but value ${bad} is ${values.data[bad]}`,
    );
  }
  return values;
}

/**
 * Returns the standard deviations of latents that are the means of a distribution.
 *
 * @param artifact Latents of pictures.
 * @param shape Shape of the latents.
 * @returns `deviation`, of that shape.
 * @throws {ArtifactError} if its shape differs.
 */
export function unpackDeviation(artifact: Artifact, shape: readonly number[]): Tensor<"float32"> | undefined {
  const deviation = artifact.tensors["deviation"];
  if (!deviation) return undefined;
  if (String(deviation.shape) !== String(shape)) {
    throw new ArtifactError(
      `Cannot use latents: their deviation must have their shape, [${shape}], but has [${deviation.shape}]`,
    );
  }
  return toFloat32(deviation, "deviation");
}

/**
 * Draws each value from a normal distribution, in float32: `mean + deviation * noise`.
 *
 * @param mean The means.
 * @param deviation The standard deviations, of the same length.
 * @param noise Standard normal values, of the same length.
 */
export function drawLatents(
  mean: Float32Array,
  deviation: Float32Array,
  noise: Float32Array,
): Float32Array<ArrayBuffer> {
  return Float32Array.from(mean, (value, i) => value + Math.fround(deviation[i]! * noise[i]!));
}

/** Returns a view of one image's latents, [1, channels, height, width]. */
export function imageLatents(latents: Tensor<"float32">, image: number): Tensor<"float32"> {
  const shape = [1, ...latents.shape.slice(1)];
  const count = latents.data.length / latents.shape[0]!;
  return tensor("float32", shape, latents.data.subarray(image * count, (image + 1) * count));
}
