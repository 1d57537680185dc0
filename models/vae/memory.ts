// This module is browser compatible.

/**
 * Predicts the memory of an autoencoder's decoder. The constants were measured on Linux with ONNX Runtime on
 * a CPU; see docs/memory.md.
 *
 * @module
 */

import type { JsonObject } from "../../artifacts/artifact.ts";
import type { RuntimeTraits } from "../../runtime/runtime.ts";
import type { Weights } from "../checkpoint/weights.ts";
import type { ComputeType } from "../onnx/graph_builder.ts";
import {
  FLOAT32_BYTES,
  type MemoryChoice,
  PROCESS_BYTES,
  weightBytes,
  withSmallerPicture,
} from "../memory.ts";
import type { Residency } from "../segments.ts";
import { type AutoencoderConfig, spatialFactor } from "./autoencoder_config.ts";
import { SCORE_BYTES } from "./tiling/middle_block.ts";
import { planSeamless } from "./tiling/seamless_plan.ts";
import { chooseTiling, type VaeTiling } from "./tiling/tiled_vae_decoder.ts";

/** Bytes of the seam-free decoder's strips and middle block, besides the feature maps in memory. */
const STRIP_BYTES = 90e6;
/** Bytes of decoding in one piece besides the weights, independent of the picture. */
const WHOLE_BYTES = 30e6;
/** Bytes of finished tiles that await garbage collection. */
const TILE_BYTES = 35e6;
/**
 * Bytes per pixel of resizing a picture: the resized picture, and the copy of it that is kept with the others.
 * The former awaits garbage collection after each picture.
 */
const RESIZED_BYTES = 2 * 3 * FLOAT32_BYTES;
/**
 * Bytes per pixel of writing pictures besides {@linkcode RESIZED_BYTES}: 8-bit pixels, and the buffers of the
 * encoder of WebP, which needs most. PNG needs 11.
 */
const WRITTEN_BYTES = 18;
/** Peak number of values per pixel when decoding in one piece, in multiples of the smallest channel count. */
const WHOLE_UNITS = 5.1;
/** The same on a GPU, where convolutions need workspace and the pool grows by powers of two. */
const GPU_UNITS = { float32: 8.2, float16: 12.2 } as const;
/**
 * The same for a 1024 × 1024 picture on a device that frees the memory of feature maps late. The measured
 * values are 3.3 GB at 512 × 512, 20 GB at 768 × 768, and 39 to 49 GB at 1024 × 1024. The bound grows with
 * the number of pixels to the power of 1.5.
 */
const LATE_UNITS = 92;
/** GPU memory in bytes for a strip of the seam-free decoder and its middle block. */
const GPU_STRIP_BYTES = 410e6;
/** Number of attention score tensors of a part of the middle block that coexist on such a device. */
const LATE_SCORES = 4;
/** Candidate sides of blended tiles, in pixels. */
const TILE_SIZES = [512, 384, 256] as const;
/** Matches the weights of an autoencoder that decoding needs. */
const DECODER = /^(decoder|post_quant_conv)\./;

/** The properties of a decoder that determine its memory. */
export interface DecoderFacts {
  /** Bytes of the decoder's weights as stored. */
  readonly weightBytes: number;
  /** The autoencoder. */
  readonly config: AutoencoderConfig;
}

/** Pictures that are decoded in turn and all kept in memory until the last one. */
export interface DecodedPictures {
  /** Height of each picture in pixels. */
  readonly height: number;
  /** Width of each picture in pixels. */
  readonly width: number;
  /** Number of pictures. */
  readonly images: number;
  /** The size in pixels that pictures are resized to, if it differs. */
  readonly resizedTo?: { readonly height: number; readonly width: number } | undefined;
}

/** Constraints on the choices. */
export interface DecoderMemoryRequest {
  /** Traits of the device. */
  readonly traits: RuntimeTraits;
  /** Residency of the weights, if fixed. */
  readonly residency?: Residency | undefined;
  /** The tiling; `auto` leaves the choice to the model. */
  readonly tiling: VaeTiling;
  /** Side of a blended tile in pixels, if fixed. */
  readonly tileSize?: number | undefined;
  /** Compute type of whole pictures and tiles. Seam-free strips are always float32. */
  readonly computeType?: ComputeType | undefined;
  /** Overlap of blended tiles in pixels. Tile sizes that the model chooses are larger than this. */
  readonly tileOverlap?: number | undefined;
}

/** Returns the facts of an autoencoder's decoder from its configuration and the headers of its weights. */
export function decoderFacts(config: AutoencoderConfig, weights: Weights): DecoderFacts {
  return { config, weightBytes: weightBytes(weights, (name) => DECODER.test(name)) };
}

/**
 * Returns all ways to decode, best first. Blended tiles lose quality, so they come last. Tilings that the
 * request excludes, and smaller pictures, follow for advice.
 */
export function decoderMemoryChoices(
  facts: DecoderFacts,
  pictures: DecodedPictures,
  request: DecoderMemoryRequest,
): MemoryChoice[] {
  const { tiling } = request;
  const choices = choicesOf(facts, pictures, request);
  const { tileSize: _, ...anySize } = request;
  const excluded = tiling === "auto" ? [] : choicesOf(facts, pictures, { ...anySize, tiling: "auto" })
    .filter(({ parameters }) => parameters["tiling"] !== tiling)
    .map((choice) => ({ ...choice, unlessAllowed: `allow tiling "${choice.parameters["tiling"]}"` }));
  const smaller = choicesOf(facts, halved(pictures), request);
  return withSmallerPicture([...choices, ...excluded], smaller);
}

/** Returns pictures with a quarter of the pixels. */
function halved({ height, width, resizedTo, images }: DecodedPictures): DecodedPictures {
  const half = (size: { height: number; width: number }) => ({
    height: Math.ceil(size.height / 2),
    width: Math.ceil(size.width / 2),
  });
  return { ...half({ height, width }), resizedTo: resizedTo && half(resizedTo), images };
}

function choicesOf(
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
  // If the overlap is too large for every size, tiles are not a choice. A request for tiles with such an
  // overlap is rejected elsewhere.
  const sizes = tileSize === undefined ? larger : tileSize > tileOverlap ? [tileSize] : [];
  return modes.flatMap((mode) =>
    (mode === "blended" ? sizes : [undefined]).map((size): MemoryChoice => {
      const parameters: JsonObject = size === undefined ? { tiling: mode } : { tiling: mode, tileSize: size };
      return {
        // Strips keep no weights in memory.
        residency: mode === "seamless" ? "stream" : residency,
        parameters,
        isApproximate: mode === "blended" && tiling !== "blended",
        weightBytes: facts.weightBytes,
        peakBytes: Math.max(
          predictPeak(facts, pictures, mode, size ?? TILE_SIZES[0]),
          predictWritingPeak(pictures),
        ),
        gpuPeakBytes: traits.hostMemory
          ? undefined
          : predictGpuPeak(facts, pictures, traits, mode, size ?? TILE_SIZES[0], computeType),
        heldBytes: mode !== "seamless" && residency === "resident" ? facts.weightBytes : 0,
        ...(traits.hostMemory || mode === "seamless" || residency !== "resident"
          ? {}
          : { heldGpuBytes: facts.weightBytes }),
      };
    })
  );
}

function predictPeak(
  { config, weightBytes }: DecoderFacts,
  { height, width, images, resizedTo }: DecodedPictures,
  tiling: VaeTiling,
  tileSize: number,
): number {
  const decoded = 3 * FLOAT32_BYTES * height * width;
  const kept = resizedTo ? RESIZED_BYTES * resizedTo.height * resizedTo.width : decoded;
  const fixed = PROCESS_BYTES + decoded + images * kept;
  const whole = (height: number, width: number): number => {
    const channels = config._class_name === "AutoencoderKL"
      ? config.block_out_channels[0]!
      : config.decoder_block_out_channels[0]!;
    return fixed + WHOLE_BYTES + weightBytes + FLOAT32_BYTES * WHOLE_UNITS * channels * height * width;
  };
  if (tiling === "seamless" && config._class_name === "AutoencoderKL") {
    const factor = spatialFactor(config);
    const latents = { height: Math.ceil(height / factor), width: Math.ceil(width / factor) };
    return fixed + STRIP_BYTES + planSeamless(config, latents).mapBytes;
  }
  if (tiling === "blended") return TILE_BYTES + whole(Math.min(tileSize, height), Math.min(tileSize, width));
  return whole(height, width);
}

/** Predicts the peak of writing the finished pictures to files, after the decoder has been released. */
function predictWritingPeak(
  { height, width, images, resizedTo = { height, width } }: DecodedPictures,
): number {
  return PROCESS_BYTES + images * (RESIZED_BYTES + WRITTEN_BYTES) * resizedTo.height * resizedTo.width;
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
 * Returns the bytes of GPU memory for seam-free strips.
 *
 * @param traits Traits of the device.
 * @param points Number of points of the feature maps in the middle block, which is not split.
 */
export function stripGpuBytes({ freesLate = false }: RuntimeTraits, points: number): number {
  const scoreBytes = Math.min(SCORE_BYTES, FLOAT32_BYTES * points ** 2);
  return GPU_STRIP_BYTES + (freesLate ? LATE_SCORES * scoreBytes : 0);
}

/**
 * Returns the peak number of values per pixel on a GPU in one piece, in multiples of the smallest channel
 * count.
 */
export function wholeGpuUnits(
  { freesLate = false }: RuntimeTraits,
  pixels: number,
  computeType: ComputeType,
): number {
  return freesLate ? LATE_UNITS * Math.sqrt(pixels) / 1024 : GPU_UNITS[computeType];
}
