// This module is browser compatible.

import { z } from "zod";
import { drawLatents } from "../artifacts/latents.ts";
import { tensor } from "../artifacts/tensor.ts";
import { InputError } from "../errors/pixstage_error.ts";
import { artifactPixels, pictureSizes } from "../images/picture_artifact.ts";
import { fromPixels } from "../images/pixels.ts";
import { resizeLanczos } from "../images/resize_lanczos.ts";
import type { PictureEncoderModel } from "../models/architecture.ts";
import { architectureOfComponent } from "../models/architectures.ts";
import { checkComponent } from "../models/check_component.ts";
import type { ModelReference, Models } from "../models/models.ts";
import { createGenerator } from "../random/create_generator.ts";
import { denoiseParameters, imageSeeds } from "./denoise/settings.ts";
import { loadReport, modelParameters } from "./model.ts";
import { settlePictureSize } from "./picture_size.ts";
import { defineStage, type Stage } from "./stage.ts";

const { transformer, height, width, resolutionBinning, seeds, generator } = denoiseParameters.shape;

/** Parameters of the encode-image stage. */
export const encodeImageParameters = z.strictObject({
  ...modelParameters,
  /** Another transformer, whose sizes apply if `sizing` is `model`. */
  transformer,
  /** Another autoencoder: a checkpoint, or a folder that contains only an autoencoder. */
  vae: z.string().min(1).optional(),
  /**
   * The source of the size. `model`: the size at which the checkpoint denoises. `picture`: the picture's
   * own size, each side rounded down to whole latents.
   */
  sizing: z.enum(["model", "picture"]).default("model"),
  height,
  width,
  resolutionBinning,
  /**
   * The part to return of the distribution that an autoencoder predicts for a picture: the whole
   * `distribution`,
   * from which denoising samples with its own seeds; its `mode`; or a `sample`, drawn with `seeds`.
   */
  posterior: z.enum(["distribution", "mode", "sample"]).default("distribution"),
  seeds,
  generator,
  /**
   * `none`; `seamless`: strip by strip, with the whole picture's statistics; or `auto`: depends on the size.
   */
  tiling: z.enum(["auto", "none", "seamless"]).default("auto"),
});

/**
 * The encode-image stage. Encodes pictures to latents, one at a time, with the checkpoint's autoencoder.
 * Pictures are resized with a Lanczos filter, without keeping their aspect ratio, as
 * `VaeImageProcessor.preprocess` of diffusers does.
 */
export const encodeImageStage: Stage = defineStage({
  name: "encode-image",
  version: "3",
  description: "Encodes pictures to latents with the checkpoint's autoencoder.",
  inputs: { image: { kind: "image", description: "Pictures of the same size." } },
  outputs: {
    latents: {
      kind: "latents",
      description:
        "Latents, multiplied by the scaling factor, with standard deviations if a distribution is requested.",
    },
  },
  parameters: encodeImageParameters,
  async prepare({ parameters, inputs, models, device, residency, signal }) {
    const { posterior, seeds, generator, tiling } = parameters;

    // 1. Read the encoder's configuration, and resolve the size.
    const encoder = await pictureEncoderOf(parameters, models, signal);
    const { component } = encoder;
    encoder.checkTiling(tiling);
    const { spatialFactor, latentChannels, scalingFactor, hasDistribution } = encoder;
    const given = inputs.image.shapes["image"] ? pictureSizes(inputs.image) : undefined;
    const { size, renderSize } = await settlePictureSize(parameters, given, spatialFactor, models, signal);
    const isDrawn = posterior === "sample" && hasDistribution;
    if (isDrawn && given) imageSeeds(seeds, given.count);
    const weights = await checkComponent("vae", component);
    encoder.checkWeights(weights);

    // 2. Determine outputs and memory.
    const gives = posterior === "distribution" && hasDistribution;
    const latentSize = [latentChannels, renderSize.height / spatialFactor, renderSize.width / spatialFactor];
    const shape = given && [given.count, ...latentSize];
    const metadata = { size: { ...size } };
    const pixels = given ? given.count * given.height * given.width : renderSize.height * renderSize.width;
    return {
      identity: {
        ...metadata,
        renderSize: { ...renderSize },
        posterior: hasDistribution ? posterior : "mode",
        ...(isDrawn ? { seeds: seeds.map(String), generator } : {}),
        tiling,
      },
      weights: [{ ...autoencoderReference(parameters), component: "vae", content: component }],
      outputs: {
        latents: {
          kind: "latents",
          shapes: shape ? { latents: shape, ...(gives ? { deviation: shape } : {}) } : {},
          metadata,
        },
      },
      memory: encoder.memory(
        weights,
        { ...renderSize, pixels },
        { traits: device.traits, residency, tiling },
      ),

      // 3. Resize and encode the pictures one by one.
      async run({ inputs, runtime, signal, report }) {
        const pictures = artifactPixels(inputs.image);
        const images = pictures.length;
        const own = isDrawn ? imageSeeds(seeds, images) : [];
        await using opened = encoder.open(runtime, weights, {
          tiling,
          residency: residency ?? "stage",
          signal,
          onLoad: (progress) => report(loadReport("vae", progress)),
        });
        const scale = Math.fround(scalingFactor);
        const means: Float32Array[] = [];
        const deviations: Float32Array[] = [];
        for (const [index, picture] of pictures.entries()) {
          signal.throwIfAborted();
          const resized = fromPixels([resizeLanczos(picture, renderSize.height, renderSize.width)]);
          const { mean, deviation } = await opened.encode(resized, { signal });
          const latents = isDrawn && deviation
            ? drawLatents(
              mean.data,
              deviation.data,
              createGenerator(generator, own[index]!).randn(mean.data.length),
            )
            : mean.data;
          means.push(latents.map((value) => value * scale));
          if (gives && deviation) deviations.push(deviation.data.map((value) => value * scale));
          report({ type: "step", step: index + 1, steps: images, image: index, images });
        }
        const rows = (parts: readonly Float32Array[]) =>
          tensor("float32", [images, ...latentSize], concatenate(parts));
        return {
          latents: {
            kind: "latents",
            tensors: { latents: rows(means), ...(gives ? { deviation: rows(deviations) } : {}) },
            metadata,
          },
        };
      },
    };
  },
});

/** Location of an autoencoder: in the checkpoint, or in its own folder. */
interface AutoencoderReference extends ModelReference {
  readonly vae?: string | undefined;
}

function autoencoderReference({ model, variant, vae }: AutoencoderReference): ModelReference {
  return vae === undefined ? { model, variant } : { model: vae };
}

/**
 * Opens the picture encoder of an autoencoder. Reads its configuration only.
 *
 * @param reference Location of the autoencoder.
 * @param models Opens checkpoints.
 * @param signal Stops a download.
 * @throws {InputError} if the autoencoder cannot encode pictures.
 */
export async function pictureEncoderOf(
  reference: AutoencoderReference,
  models: Models,
  signal: AbortSignal,
): Promise<PictureEncoderModel> {
  const component = await models.component(autoencoderReference(reference), "vae", signal);
  const encoder = architectureOfComponent("vae", component.className)?.pictureEncoder?.(component);
  if (encoder) return encoder;
  throw new InputError(
    "unsupported_architecture",
    `Cannot encode a picture with ${component.name}: ${component.className} cannot encode pictures to latents`,
  );
}

/** Concatenates arrays. */
function concatenate(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
