// This module is browser compatible.

/**
 * Predicts the memory of an autoencoder's encoder. The constants were measured on Linux with ONNX Runtime on
 * a CPU; see docs/memory.md.
 *
 * @module
 */

import type { Weights } from "../checkpoint/weights.ts";
import type { EncodePicturesJob, PictureEncoderMemoryRequest } from "../architecture.ts";
import {
  FLOAT32_BYTES,
  type MemoryChoice,
  PROCESS_BYTES,
  weightBytes,
  withSmallerPicture,
} from "../memory.ts";
import { type AutoencoderConfig, spatialFactor } from "./autoencoder_config.ts";
import { stripGpuBytes, wholeGpuUnits } from "./memory.ts";
import { chooseTiling } from "./tiling/tiled_vae_decoder.ts";
import { planSeamlessEncoder } from "./tiling/seamless_encoder_plan.ts";

/** Bytes of the seam-free encoder's strips and middle block, besides the feature maps in memory. */
const STRIP_BYTES = 120e6;
/** Bytes of encoding in one piece besides the weights, independent of the picture. */
const WHOLE_BYTES = 20e6;
/** Peak number of values per pixel when encoding in one piece, in multiples of the smallest channel count. */
const WHOLE_UNITS = 2.8;
/** Matches the weights of an autoencoder that encoding needs. */
const ENCODER = /^(encoder|quant_conv)\./;

/** Returns all ways to encode pictures, best first. Others that the request excludes follow for advice. */
export function encoderMemoryChoices(
  config: AutoencoderConfig,
  weights: Weights,
  job: EncodePicturesJob,
  request: PictureEncoderMemoryRequest,
): MemoryChoice[] {
  const choices = choicesOf(config, weights, job, request);
  const isExcluded = request.tiling === "none" && config._class_name === "AutoencoderKL";
  const excluded = isExcluded ? choicesOf(config, weights, job, { ...request, tiling: "seamless" }) : [];
  const [height, width] = [Math.ceil(job.height / 2), Math.ceil(job.width / 2)];
  return withSmallerPicture([
    ...choices,
    ...excluded.map((choice) => ({ ...choice, unlessAllowed: 'allow tiling "seamless"' })),
  ], choicesOf(config, weights, { ...job, height, width }, request));
}

function choicesOf(
  config: AutoencoderConfig,
  weights: Weights,
  { height, width, pixels }: EncodePicturesJob,
  { traits, residency = "stage", tiling }: PictureEncoderMemoryRequest,
): MemoryChoice[] {
  const usual = chooseTiling(config, traits, height * width);
  const isKL = config._class_name === "AutoencoderKL";
  const modes = tiling !== "auto"
    ? [tiling]
    : [...new Set([usual === "seamless" ? usual : "none", ...(isKL ? ["seamless" as const] : [])])];
  const bytes = weightBytes(weights, (name) => ENCODER.test(name));
  // The input pictures with one byte per channel, and one of them as floats.
  const given = PROCESS_BYTES + 3 * pixels + 3 * FLOAT32_BYTES * height * width;
  const narrowest = isKL ? config.block_out_channels[0]! : config.encoder_block_out_channels[0]!;
  const values = narrowest * height * width;
  return modes.map((mode): MemoryChoice => {
    const isSeamless = mode === "seamless" && isKL;
    const ownBytes = isSeamless
      ? STRIP_BYTES + planSeamlessEncoder(config, { height, width }).mapBytes
      : WHOLE_BYTES + bytes + FLOAT32_BYTES * WHOLE_UNITS * values;
    const { contextBytes = 0 } = traits;
    return {
      // Strips keep no weights in memory.
      residency: isSeamless ? "stream" : residency,
      parameters: { tiling: mode },
      weightBytes: bytes,
      peakBytes: given + ownBytes,
      ...(traits.hostMemory ? {} : {
        gpuPeakBytes: contextBytes +
          (isSeamless
            ? stripGpuBytes(traits, height * width / spatialFactor(config) ** 2)
            : bytes + FLOAT32_BYTES * wholeGpuUnits(traits, height * width, "float32") * values),
      }),
      heldBytes: !isSeamless && residency === "resident" ? bytes : 0,
      ...(traits.hostMemory || isSeamless || residency !== "resident" ? {} : { heldGpuBytes: bytes }),
    };
  });
}
