// This module is browser compatible.

/**
 * The built-in stages.
 *
 * @module
 */

import { decodeStage } from "./decode.ts";
import { denoisePartStage, denoiseStage } from "./denoise/stage.ts";
import { encodeStage } from "./encode.ts";
import { encodeImageStage } from "./encode_image.ts";
import { interpolateStage } from "./interpolate.ts";
import { maskStage } from "./mask.ts";
import { pairStage } from "./pair.ts";
import { StageRegistry } from "./registry.ts";
import { upscaleLatentsStage } from "./upscale_latents.ts";

export {
  decodeStage,
  denoisePartStage,
  denoiseStage,
  encodeImageStage,
  encodeStage,
  interpolateStage,
  maskStage,
  pairStage,
  upscaleLatentsStage,
};

/** Returns a new registry with the built-in stages. */
export function builtInStages(): StageRegistry {
  return new StageRegistry([
    encodeStage,
    encodeImageStage,
    maskStage,
    upscaleLatentsStage,
    interpolateStage,
    pairStage,
    denoiseStage,
    denoisePartStage,
    decodeStage,
  ]);
}
