// This module is browser compatible.

/**
 * The artifact between denoise and decode: latents, before the division by the autoencoder's scaling factor. Initial
 * noise is of the same kind, and so are pictures that were encoded: beside their most likely latents they may hold a
 * tensor `deviation`, from which a run draws its own.
 *
 * @module
 */

import { z } from "zod";
import { parseValue } from "../errors/parse_value.ts";
import { type Artifact, ArtifactError } from "./artifact.ts";
import { toFloat32 } from "./half_precision.ts";
import { someNames } from "./some_names.ts";
import { type Tensor, tensor } from "./tensor.ts";

/** What is known of latents beside their tensor. Files from elsewhere have none of it. */
export const latentsMetadataSchema = z.looseObject({
  /** The picture's size in pixels as asked for: what decoding resizes and crops to. */
  size: z.object({ height: z.int().positive(), width: z.int().positive() }).optional(),
});

/** What is known of latents beside their tensor. */
export type LatentsMetadata = z.infer<typeof latentsMetadataSchema>;

/**
 * Parses the metadata of latents.
 *
 * @throws {ArtifactError} if a field is of another type.
 */
export function latentsMetadata({ metadata }: Pick<Artifact, "metadata">): LatentsMetadata {
  return parseValue(
    latentsMetadataSchema,
    metadata,
    ({ clause }, options) => new ArtifactError(`Cannot use latents: in their metadata ${clause}`, options),
  );
}

/**
 * The tensor `latents` of an artifact, as float32.
 *
 * @param artifact Latents made by a stage, or loaded from a file.
 * @param channels Channels that there must be; any number by default.
 * @returns `latents` [images, channels, height, width].
 * @throws {ArtifactError} if the tensor is missing or of another shape, or holds a value that is not finite.
 */
export function unpackLatents(artifact: Artifact, channels?: number): Tensor<"float32"> {
  const latents = artifact.tensors["latents"];
  if (!latents) {
    throw new ArtifactError(
      `Cannot use latents: the file must hold a tensor latents, but holds ${
        someNames(Object.keys(artifact.tensors))
      }`,
    );
  }
  const { shape } = latents;
  if (shape.length !== 4 || shape[1] !== (channels ?? shape[1]) || shape.includes(0)) {
    throw new ArtifactError(
      `Cannot use latents as they must be [images, ${
        channels ?? "channels"
      }, height, width]: shape is [${shape}]`,
    );
  }
  const values = toFloat32(latents, "latents");
  const bad = values.data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new ArtifactError(
      `Cannot use latents as all values must be finite: value ${bad} is ${values.data[bad]}`,
    );
  }
  return values;
}

/**
 * The standard deviations beside latents, where they are the means of a distribution.
 *
 * @param artifact Latents of pictures.
 * @param shape Shape of the latents.
 * @returns `deviation`, of that shape.
 * @throws {ArtifactError} if it is of another shape.
 */
export function unpackDeviation(artifact: Artifact, shape: readonly number[]): Tensor<"float32"> | undefined {
  const deviation = artifact.tensors["deviation"];
  if (!deviation) return undefined;
  if (String(deviation.shape) !== String(shape)) {
    throw new ArtifactError(
      `Cannot use latents as their deviation must be of their shape, [${shape}]: shape is [${deviation.shape}]`,
    );
  }
  return toFloat32(deviation, "deviation");
}

/**
 * Draws from a normal distribution for each value, in float32: `mean + deviation * noise`.
 *
 * @param mean The means.
 * @param deviation The standard deviations; as many.
 * @param noise Standard normal values; as many.
 */
export function drawLatents(
  mean: Float32Array,
  deviation: Float32Array,
  noise: Float32Array,
): Float32Array<ArrayBuffer> {
  return Float32Array.from(mean, (value, i) => value + Math.fround(deviation[i]! * noise[i]!));
}

/** The latents of one image, [1, channels, height, width]; a view. */
export function imageLatents(latents: Tensor<"float32">, image: number): Tensor<"float32"> {
  const shape = [1, ...latents.shape.slice(1)];
  const count = latents.data.length / latents.shape[0]!;
  return tensor("float32", shape, latents.data.subarray(image * count, (image + 1) * count));
}
