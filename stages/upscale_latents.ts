// This module is browser compatible.

import { z } from "zod";
import { unpackLatents } from "../artifacts/latents.ts";
import { InputError } from "../errors/pixstage_error.ts";
import { interpolatePlanes } from "../images/interpolate_planes.ts";
import { denoiseParameters, openDenoiser } from "./denoise/settings.ts";
import { modelParameters } from "./model.ts";
import { defineStage, type Stage } from "./stage.ts";

const { transformer, height, width } = denoiseParameters.shape;

/** Parameters of the upscale-latents stage. */
export const upscaleLatentsParameters = z.strictObject({
  ...modelParameters,
  /** Another transformer, whose sizes apply. */
  transformer,
  /** Factor by which each side grows if no size is given, rounded to whole latents. */
  factor: z.number().min(1).max(8).default(2),
  /** Height in pixels, instead of the factor. */
  height,
  /** Width in pixels, instead of the factor. */
  width,
  /** Interpolation method. */
  mode: z.enum(["nearest", "bilinear", "bicubic"]).default("bilinear"),
});

/**
 * The upscale-latents stage. Interpolates latents to a larger picture, from which denoising can start
 * (`image` of `denoise`). Interpolation blurs the picture until it is denoised again.
 */
export const upscaleLatentsStage: Stage = defineStage({
  name: "upscale-latents",
  version: "1",
  description: "Interpolates latents to those of a larger picture, from which denoising can start.",
  inputs: {
    latents: { kind: "latents", description: "Latents, not yet divided by the scaling factor." },
  },
  outputs: { latents: { kind: "latents", description: "The latents of the larger picture." } },
  parameters: upscaleLatentsParameters,
  async prepare({ parameters, inputs, models, signal }) {
    const { factor, height, width, mode } = parameters;
    const { model } = await openDenoiser(parameters, models, signal);
    const { spatialFactor } = model;
    if ((height === undefined) !== (width === undefined)) {
      throw new InputError(
        "missing_input",
        "Cannot upscale with only one of height and width: give both, or neither",
        {
          details: { field: height === undefined ? "height" : "width" },
        },
      );
    }
    const sizeOf = (rows: number, columns: number) => {
      const side = (given: number) => Math.round(given * factor) * spatialFactor;
      const asked = height !== undefined && width !== undefined
        ? { height, width }
        : { height: side(rows), width: side(columns) };
      return model.resolveSize(asked, false).renderSize;
    };
    const [images, channels, rows, columns] = inputs.latents.shapes["latents"] ?? [];
    const size = rows === undefined || columns === undefined ? undefined : sizeOf(rows, columns);
    const shape = size && [images!, channels!, size.height / spatialFactor, size.width / spatialFactor];
    return {
      identity: {
        mode,
        spatialFactor,
        ...(height !== undefined && width !== undefined ? { height, width } : { factor }),
        ...(size ? { size: { ...size } } : {}),
      },
      outputs: {
        latents: {
          kind: "latents",
          shapes: shape ? { latents: shape } : {},
          metadata: size ? { size: { ...size } } : {},
        },
      },
      run({ inputs }) {
        const latents = unpackLatents(inputs.latents);
        const [, , rows = 0, columns = 0] = latents.shape;
        const size = sizeOf(rows, columns);
        const [tall, wide] = [size.height / spatialFactor, size.width / spatialFactor];
        const upscaled = interpolatePlanes(latents, tall, wide, mode);
        return Promise.resolve({
          latents: { kind: "latents", tensors: { latents: upscaled }, metadata: { size: { ...size } } },
        });
      },
    };
  },
});
