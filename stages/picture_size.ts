// This module is browser compatible.

/**
 * The size at which a picture is encoded, such that denoising can start from it.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { PictureSize } from "../models/architecture.ts";
import type { Models } from "../models/models.ts";
import { type DenoiserReference, openDenoiser } from "./denoise/settings.ts";

/** The values that determine a size. */
export interface PictureSizeRequest extends DenoiserReference {
  /** `model`: the size at which the checkpoint denoises. `picture`: the picture's own size. */
  readonly sizing: "model" | "picture";
  /** Requested height in pixels. */
  readonly height?: number | undefined;
  /** Requested width in pixels. */
  readonly width?: number | undefined;
  /** Whether pictures are denoised at the nearest size that the model was trained for. */
  readonly resolutionBinning: boolean;
}

/** The requested size, and the size at which the picture is encoded. */
export interface SettledSize {
  readonly size: PictureSize;
  readonly renderSize: PictureSize;
}

/**
 * Resolves the size of a picture. If none is requested, it is the model's size with the aspect ratio nearest
 * to the picture's, or else the model's only size.
 *
 * @param request What determines the size.
 * @param picture The picture's own size, if known.
 * @param factor Pixels along one side of a latent.
 * @param models Opens checkpoints.
 * @param signal Stops a download.
 * @throws {InputError} if the model does not support that size, or the picture is smaller than a latent.
 */
export async function settlePictureSize(
  request: PictureSizeRequest,
  picture: PictureSize | undefined,
  factor: number,
  models: Models,
  signal: AbortSignal,
): Promise<SettledSize> {
  const { sizing, height, width, resolutionBinning } = request;
  if (sizing === "picture") return ownSize({ height, width }, picture, factor);
  const { model, checkpoint } = await openDenoiser(request, models, signal);
  const { defaults } = checkpoint;
  const asked = { height: height ?? defaults.height, width: width ?? defaults.width };
  const usual = model.resolveSize(asked, resolutionBinning);
  if (height !== undefined || width !== undefined || !resolutionBinning || !picture) return usual;
  // The area of the model's own pictures, with the picture's aspect ratio.
  const scale = Math.sqrt(usual.size.height * usual.size.width / (picture.height * picture.width));
  const { renderSize } = model.resolveSize(
    { height: picture.height * scale, width: picture.width * scale },
    true,
  );
  return { size: renderSize, renderSize };
}

/** Returns the requested or the picture's own size, each side rounded down to whole latents. */
function ownSize(
  asked: { readonly [K in keyof PictureSize]: number | undefined },
  picture: PictureSize | undefined,
  factor: number,
): SettledSize {
  const wanted = { height: asked.height ?? picture?.height, width: asked.width ?? picture?.width };
  if (wanted.height === undefined || wanted.width === undefined) {
    throw new InputError(
      "missing_input",
      "Cannot use the picture's own size because it is not known in advance: give height and width",
    );
  }
  const [height, width] = [wanted.height, wanted.width].map((side) => Math.floor(side / factor) * factor);
  if (height! < factor || width! < factor) {
    throw new InputError(
      "out_of_range",
      `Cannot encode a picture smaller than ${factor} pixels on a side: its size is ` +
        `${wanted.width} × ${wanted.height}`,
    );
  }
  const size = { height: height!, width: width! };
  return { size, renderSize: size };
}
