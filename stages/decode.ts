// This module is browser compatible.

import { z } from "zod";
import { ArtifactError } from "../artifacts/artifact.ts";
import { imageLatents, latentsMetadata, unpackLatents } from "../artifacts/latents.ts";
import type { ArtifactOutline } from "../artifacts/outline.ts";
import { tensor } from "../artifacts/tensor.ts";
import { resizeAndCrop } from "../images/resize_and_crop.ts";
import type { DecodeJob } from "../models/architecture.ts";
import { architectureOfComponent } from "../models/architectures.ts";
import { precisionSchema } from "../models/precision.ts";
import { checkComponent } from "../models/check_component.ts";
import { loadReport, modelParameters } from "./model.ts";
import { defineStage, type Stage } from "./stage.ts";

const DEFAULT_TILE = 512;
const DEFAULT_OVERLAP = 128;

/** How pictures are tiled when they are decoded. */
export const tilingParameters = {
  /**
   * `none`; `seamless`: tiles share the whole picture's statistics; `blended`: each tile is decoded
   * independently; or `auto`: depends on the size.
   */
  tiling: z.enum(["auto", "none", "seamless", "blended"]).default("auto"),
  /** Height and width of a blended tile, in pixels. */
  tileSize: z.int().min(64, "A tile must have at least 64 pixels").multipleOf(8).default(DEFAULT_TILE),
  /** Overlap of blended tiles in pixels. */
  tileOverlap: z.int().nonnegative().multipleOf(8).default(DEFAULT_OVERLAP),
};

/** Parameters of the decode stage. */
export const decodeParameters = z.strictObject({
  ...modelParameters,
  /** Whether to resize and crop the picture to the requested size, if the latents record it. */
  resize: z.boolean().default(true),
  ...tilingParameters,
  /**
   * `float16` is for devices whose kernels accumulate in float32. On other devices, and if values overflow
   * it, decoding uses float32.
   */
  precision: precisionSchema.extract(["float32", "float16"]).default("float32"),
});

/** The decode stage. Decodes latents to pictures, one at a time, with the checkpoint's autoencoder. */
export const decodeStage: Stage = defineStage({
  name: "decode",
  version: "4",
  description: "Decodes latents to pictures with the checkpoint's autoencoder.",
  inputs: {
    latents: { kind: "latents", description: "Latents, not yet divided by the scaling factor." },
  },
  outputs: {
    image: { kind: "image", description: "Pictures [images, 3, height, width], float32, about -1 to 1." },
  },
  parameters: decodeParameters,
  async prepare({ parameters, inputs, models, device, residency, signal }) {
    const { model, variant, resize, tiling, tileSize, tileOverlap, precision } = parameters;
    const computeType = device.traits.float16 === "blocks" ? precision : "float32";

    // 1. Read the decoder's configuration, and check the latents against it.
    const vae = await models.component(parameters, "vae", signal);
    const decoderModel = architectureOfComponent("vae", vae.className)!.decoder(vae);
    const { latentChannels, spatialFactor } = decoderModel;
    decoderModel.checkTiling({ tiling, tileSize, tileOverlap });
    const job = decodeJob(inputs.latents, latentChannels);
    const { size } = latentsMetadata(inputs.latents);
    const weights = await checkComponent("vae", vae);

    // 2. Determine outputs, warnings and memory.
    const unused = [
      ...(tileSize === DEFAULT_TILE ? [] : ["tileSize"]),
      ...(tileOverlap === DEFAULT_OVERLAP ? [] : ["tileOverlap"]),
    ];
    const warnings = [
      ...(tiling === "blended" || unused.length === 0 ? [] : [
        `${unused.join(" and ")} ${unused.length === 1 ? "has" : "have"} no effect with tiling "${tiling}"`,
      ]),
      ...(precision === computeType
        ? []
        : [`Decoding in float32 because ${device.device} accumulates in float16`]),
    ];
    const rendered = job &&
      { height: job.latentHeight * spatialFactor, width: job.latentWidth * spatialFactor };
    const final = resize && size ? size : rendered;
    const isResized = final?.height !== rendered?.height || final?.width !== rendered?.width;
    return {
      identity: {
        resize,
        tiling,
        tileSize,
        tileOverlap,
        ...(computeType === "float32" ? {} : { precision: computeType }),
      },
      weights: [{ model, variant, component: "vae", content: vae }],
      outputs: {
        image: {
          kind: "image",
          shapes: job && final ? { image: [job.images, 3, final.height, final.width] } : {},
          metadata: inputs.latents.metadata,
        },
      },
      memory: job && decoderModel.memory(weights, { ...job, resizedTo: isResized ? final : undefined }, {
        traits: device.traits,
        residency,
        tiling,
        // The user did not choose the default tile size, so other sizes may replace it.
        tileSize: tileSize === DEFAULT_TILE ? undefined : tileSize,
        tileOverlap,
        computeType,
      }),
      warnings,

      // 3. Decode the pictures one by one.
      async run({ inputs, runtime, signal, report }) {
        const latents = unpackLatents(inputs.latents, latentChannels);
        await using decoder = await decoderModel.open(runtime, weights, {
          tiling,
          tileSize,
          tileOverlap,
          computeType,
          residency: residency ?? "stage",
          signal,
          onLoad: (progress) => report(loadReport("vae", progress)),
          onOverflow: () =>
            report({ type: "warning", message: "Decoding in float32 because values overflowed float16" }),
          onFallback: ({ message }) =>
            report({
              type: "warning",
              message: `Decoding strip by strip because memory ran out: ${message}`,
            }),
        });
        const images = latents.shape[0]!;
        let shape: readonly number[] = [];
        let data = new Float32Array();
        for (let index = 0; index < images; index++) {
          signal.throwIfAborted();
          const decoded = await decoder.decode(imageLatents(latents, index), { signal });
          const picture = resize && size ? resizeAndCrop(decoded, size.height, size.width) : decoded;
          if (index === 0) {
            shape = picture.shape;
            data = new Float32Array(images * picture.data.length);
          }
          data.set(picture.data, index * picture.data.length);
          report({ type: "step", step: index + 1, steps: images, image: index, images });
        }
        const image = tensor("float32", [images, ...shape.slice(1)], data);
        return { image: { kind: "image", tensors: { image }, metadata: inputs.latents.metadata } };
      },
    };
  },
});

/**
 * Returns the sizes of the decoding if the shape of the latents is known. Throws if the decoder expects
 * another number of channels.
 */
function decodeJob({ shapes }: ArtifactOutline, channels: number): DecodeJob | undefined {
  const shape = shapes["latents"];
  if (!shape) return undefined;
  const [images = 0, found, latentHeight = 0, latentWidth = 0] = shape;
  if (shape.length !== 4 || found !== channels) {
    throw new ArtifactError(
      `Cannot decode latents of shape [${shape}]: the decoder expects [images, ${channels}, height, width]`,
    );
  }
  return { images, latentHeight, latentWidth };
}
