// This module is browser compatible.

/**
 * Memory of an autoencoder's decoder. The constants are measured on Linux with ONNX Runtime on a CPU; see
 * docs/memory.md.
 *
 * @module
 */

import type { JsonObject } from "../../artifacts/artifact.ts";
import type { RuntimeTraits } from "../../runtime/runtime.ts";
import type { Weights } from "../checkpoint/weights.ts";
import type { ComputeType } from "../onnx/graph_builder.ts";
import { FLOAT32_BYTES, type MemoryChoice, PROCESS_BYTES, weightBytes } from "../memory.ts";
import type { Residency } from "../segments.ts";
import { type AutoencoderConfig, spatialFactor } from "./autoencoder_config.ts";
import { planSeamless } from "./tiling/seamless_plan.ts";
import { chooseTiling, type VaeTiling } from "./tiling/tiled_vae_decoder.ts";

/** Strips of the seam-free decoder and its middle block, beside the feature maps that are held. */
const STRIP_BYTES = 215e6;
/** Share of the feature maps that are held at a time when strips are at their widest. */
const PLANE_SHARE = 0.95;
/** Memory of a decoder in one piece beside its weights, whatever the picture. */
const WHOLE_BYTES = 20e6;
/** Tiles that are done and wait for a garbage collection. */
const TILE_BYTES = 60e6;
/** Values for each pixel of a decoder in one piece, at its widest, times its narrowest channels. */
const WHOLE_UNITS = 5.1;
/** The same on a GPU, where convolutions take memory to work in, and the pool grows by powers of two. */
const GPU_UNITS = { float32: 8.2, float16: 12.2 } as const;
/**
 * The same for a picture of 1024 × 1024 where memory of feature maps is free late. A bound of what was measured, 3.3 GB at
 * 512 × 512, 20 at 768 × 768 and 39 to 49 at 1024 × 1024, grows with the power 1.5 of the pixels.
 */
const LATE_UNITS = 92;
/** Memory of a GPU for a strip of the seam-free decoder and its middle block. */
const GPU_STRIP_BYTES = 900e6;
/** Tensors of attention scores in the middle block that are held together where memory is free late. */
const LATE_SCORES = 8;
/** Sides of blended tiles that are tried, in pixels. */
const TILE_SIZES = [512, 384, 256] as const;
/** An autoencoder's weights that decoding needs. */
const DECODER = /^(decoder|post_quant_conv)\./;

/** A decoder, as far as its memory goes. */
export interface DecoderFacts {
  /** Bytes of the decoder's weights, as they are stored. */
  readonly weightBytes: number;
  /** The autoencoder. */
  readonly config: AutoencoderConfig;
}

/** Pictures that are decoded one after the other, and held until the last. */
export interface DecodedPictures {
  /** Rows of each, in pixels. */
  readonly height: number;
  /** Columns of each, in pixels. */
  readonly width: number;
  /** How many. */
  readonly images: number;
}

/** Bounds of the choices. */
export interface DecoderMemoryRequest {
  /** The traits of the device. */
  readonly traits: RuntimeTraits;
  /** How long weights are held, where that is fixed. */
  readonly residency?: Residency | undefined;
  /** How pictures are cut; chosen if `auto`. */
  readonly tiling: VaeTiling;
  /** Side of a blended tile in pixels, where that is fixed. */
  readonly tileSize?: number | undefined;
  /** What pictures and tiles are computed in; strips without seams are in float32. */
  readonly computeType?: ComputeType | undefined;
  /** Pixels that blended tiles share: tiles that are chosen are larger. */
  readonly tileOverlap?: number | undefined;
}

/** Facts of an autoencoder's decoder. */
export function decoderFacts(config: AutoencoderConfig, weights: Weights): DecoderFacts {
  return { config, weightBytes: weightBytes(weights, (name) => DECODER.test(name)) };
}

/** All ways to decode, the best first: blended tiles lose quality, so they come last. */
export function decoderMemoryChoices(
  facts: DecoderFacts,
  pictures: DecodedPictures,
  { traits, residency = "stage", tiling, tileSize, tileOverlap = 0, computeType = "float32" }:
    DecoderMemoryRequest,
): MemoryChoice[] {
  const usual = chooseTiling(facts.config, traits, pictures.height * pictures.width);
  const canBeSeamless = facts.config._class_name === "AutoencoderKL";
  const modes: readonly VaeTiling[] = tiling !== "auto"
    ? [tiling]
    : [...new Set<VaeTiling>([usual, ...(canBeSeamless ? ["seamless" as const] : []), "blended"])];
  const larger = TILE_SIZES.filter((size) => size > tileOverlap);
  // An overlap that no size is larger than is refused where tiles are asked for, and leaves the other ways
  // otherwise.
  const sizes = tileSize === undefined ? larger : tileSize > tileOverlap ? [tileSize] : [];
  return modes.flatMap((mode) =>
    (mode === "blended" ? sizes : [undefined]).map((size): MemoryChoice => {
      const parameters: JsonObject = size === undefined ? { tiling: mode } : { tiling: mode, tileSize: size };
      return {
        // Strips hold no weights.
        residency: mode === "seamless" ? "stream" : residency,
        parameters,
        isApproximate: mode === "blended" && tiling !== "blended",
        weightBytes: facts.weightBytes,
        peakBytes: predictPeak(facts, pictures, mode, size ?? TILE_SIZES[0]),
        gpuPeakBytes: traits.hostMemory
          ? undefined
          : predictGpuPeak(facts, pictures, traits, mode, size ?? TILE_SIZES[0], computeType),
        heldBytes: mode !== "seamless" && residency === "resident" ? facts.weightBytes : 0,
        ...(traits.hostMemory || mode === "seamless" || residency !== "resident"
          ? {}
          : { heldGpuBytes: facts.weightBytes }),
        advice: mode === "blended"
          ? "make a smaller picture"
          : 'allow tiling "blended", or make a smaller picture',
      };
    })
  );
}

function predictPeak(
  { config, weightBytes }: DecoderFacts,
  { height, width, images }: DecodedPictures,
  tiling: VaeTiling,
  tileSize: number,
): number {
  const fixed = PROCESS_BYTES + (1 + images) * 3 * FLOAT32_BYTES * height * width;
  const whole = (height: number, width: number): number => {
    const channels = config._class_name === "AutoencoderKL"
      ? config.block_out_channels[0]!
      : config.decoder_block_out_channels[0]!;
    return fixed + WHOLE_BYTES + weightBytes + FLOAT32_BYTES * WHOLE_UNITS * channels * height * width;
  };
  if (tiling === "seamless" && config._class_name === "AutoencoderKL") {
    const factor = spatialFactor(config);
    const latents = { height: Math.ceil(height / factor), width: Math.ceil(width / factor) };
    return fixed + STRIP_BYTES + PLANE_SHARE * planSeamless(config, latents).mapBytes;
  }
  if (tiling === "blended") return TILE_BYTES + whole(Math.min(tileSize, height), Math.min(tileSize, width));
  return whole(height, width);
}

function predictGpuPeak(
  { config, weightBytes }: DecoderFacts,
  { height, width }: DecodedPictures,
  traits: RuntimeTraits,
  tiling: VaeTiling,
  tileSize: number,
  computeType: ComputeType,
): number {
  const { contextBytes = 0 } = traits;
  if (tiling === "seamless") {
    return contextBytes + stripGpuBytes(traits, height * width / spatialFactor(config) ** 2);
  }
  const [rows, columns] = tiling === "blended"
    ? [Math.min(tileSize, height), Math.min(tileSize, width)]
    : [height, width];
  const channels = config._class_name === "AutoencoderKL"
    ? config.block_out_channels[0]!
    : config.decoder_block_out_channels[0]!;
  const bytes = computeType === "float16" ? FLOAT32_BYTES / 2 : FLOAT32_BYTES;
  const units = wholeGpuUnits(traits, rows * columns, computeType);
  return contextBytes + weightBytes + bytes * units * channels * rows * columns;
}

/**
 * Bytes that a GPU holds for strips without seams.
 *
 * @param traits The traits of the device.
 * @param points Points of the feature maps in the middle block, which is not cut.
 */
export function stripGpuBytes({ freesLate = false }: RuntimeTraits, points: number): number {
  return GPU_STRIP_BYTES + (freesLate ? LATE_SCORES * FLOAT32_BYTES * points ** 2 : 0);
}

/** Values that a GPU holds for each pixel of a picture in one piece, at its widest, times its narrowest channels. */
export function wholeGpuUnits(
  { freesLate = false }: RuntimeTraits,
  pixels: number,
  computeType: ComputeType,
): number {
  return freesLate ? LATE_UNITS * Math.sqrt(pixels) / 1024 : GPU_UNITS[computeType];
}
