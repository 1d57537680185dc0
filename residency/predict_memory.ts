// This module is browser compatible.

/**
 * Predicts the peak of resident memory of each stage. The constants are measured on Linux, ONNX Runtime on a CPU; see
 * docs/memory.md.
 *
 * @module
 */

import type { Residency } from "../models/segments.ts";
import type { VaeTiling } from "../models/vae/tiling/tiled_vae_decoder.ts";
import { planSeamless } from "../models/vae/tiling/seamless_plan.ts";
import type { DecodeFacts, LayeredFacts } from "./memory_facts.ts";
import type { Precision } from "./precision.ts";

/** Deno and ONNX Runtime, no model open. */
export const PROCESS_BYTES = 130e6;
/** What a text encoder's layer takes beside its weights, whatever the prompt. */
const ENCODE_BYTES = 75e6;
/** Activations of a text encoder's layer for each token and channel. */
const ENCODE_UNITS = 17;
/** Scores of attention for each head and pair of tokens of a prompt: products, with their bias, as shares. */
const SCORE_UNITS = 3;
/** What a transformer's block takes beside its weights, whatever the picture. */
const DENOISE_BYTES = 42e6;
/** Activations of a transformer's block for each token and channel, all in all. */
const DENOISE_UNITS = 18.5;
/**
 * Share of a transformer's weights that steps need: a block has 16 matrices of width × width, and those that make keys and
 * values of a text are released before the first step.
 */
export const STEP_SHARE = 14 / 16;
/** Share of weights in half precision that is mapped still while their copies are made. */
const CAST_SHARE = 0.4;
/** Strips of the seam-free decoder and its middle block, beside the planes that are held. */
const STRIP_BYTES = 215e6;
/** Share of the planes that are held at a time when strips are at their widest. */
const PLANE_SHARE = 0.95;
/** What a decoder in one piece takes beside its weights, whatever the picture. */
const WHOLE_BYTES = 20e6;
/** Tiles that are done and wait for a garbage collection. */
const TILE_BYTES = 60e6;
/** Values for each pixel of a decoder in one piece, at its widest, times its narrowest channels. */
const WHOLE_UNITS = 5.1;
/** Share of a layer that quantized weights take once more while a graph lays them out. */
const PACKING_SHARE = 1 / 3;
const FLOAT32_BYTES = 4;

/** Bytes of a weight in each precision, the scales of its blocks included. */
const PRECISION_BYTES: Readonly<Record<Exclude<Precision, "float32">, number>> = {
  float16: 2,
  int8: 1 + 4 / 128,
  int4: 0.5 + 4 / 32,
};

/** Bytes of a model's weights, or of one layer's, in a precision. */
export function precisionBytes(bytes: number, facts: LayeredFacts, precision: Precision): number {
  if (precision === "float32") return bytes;
  const smaller = PRECISION_BYTES[precision] / facts.storedBytes;
  return bytes * (1 - facts.quantizable + facts.quantizable * Math.min(1, smaller));
}

/** Peak of a text encoder; prompts go one at a time. */
export function predictEncode(
  facts: LayeredFacts,
  tokens: number,
  residency: Residency,
  precision: Precision,
): number {
  const activations = ENCODE_UNITS * tokens * facts.width + SCORE_UNITS * facts.heads * tokens ** 2;
  return PROCESS_BYTES + ENCODE_BYTES + FLOAT32_BYTES * activations +
    heldByEncoder(facts, residency, precision);
}

/**
 * Peak of a transformer that predicts one half of guidance at a time, with the keys and values of all texts at hand.
 */
export function predictDenoise(
  facts: LayeredFacts,
  tokens: { readonly picture: number; readonly text: number },
  residency: Residency,
  precision: Precision,
): number {
  const activations = DENOISE_UNITS * tokens.picture * facts.width;
  const keysAndValues = 2 * facts.layers * tokens.text * facts.width;
  const held = heldByTransformer(facts, residency, precision);
  const isCast = precision === "float32" && facts.storedBytes < FLOAT32_BYTES;
  const mapped = isCast ? CAST_SHARE * facts.storedBytes / FLOAT32_BYTES * held : 0;
  // Graphs open before there are activations.
  const most = Math.max(mapped, FLOAT32_BYTES * (activations + keysAndValues));
  return PROCESS_BYTES + DENOISE_BYTES + held + most;
}

/** Peak of a decoder; pictures go one at a time, and are held until the last. */
export function predictDecode(
  facts: DecodeFacts,
  size: { readonly height: number; readonly width: number; readonly images: number },
  tiling: VaeTiling,
  tileSize: number,
): number {
  const { config, weightBytes } = facts;
  const pictureBytes = (1 + size.images) * 3 * FLOAT32_BYTES * size.height * size.width;
  const fixed = PROCESS_BYTES + pictureBytes;
  const whole = (height: number, width: number): number => {
    const channels = config._class_name === "AutoencoderKL"
      ? config.block_out_channels[0]!
      : config.decoder_block_out_channels[0]!;
    const values = WHOLE_UNITS * channels * height * width;
    return fixed + WHOLE_BYTES + weightBytes + FLOAT32_BYTES * values;
  };
  if (tiling === "seamless" && config._class_name === "AutoencoderKL") {
    const factor = 2 ** (config.block_out_channels.length - 1);
    const latents = { height: Math.ceil(size.height / factor), width: Math.ceil(size.width / factor) };
    return fixed + STRIP_BYTES + PLANE_SHARE * planSeamless(config, latents).planeBytes;
  }
  if (tiling === "blended") {
    return TILE_BYTES + whole(Math.min(tileSize, size.height), Math.min(tileSize, size.width));
  }
  return whole(size.height, size.width);
}

/** Bytes of the weights that a transformer holds. They are prepared when a graph opens: copies in float32, not the mapped file. */
export function heldByTransformer(facts: LayeredFacts, residency: Residency, precision: Precision): number {
  const share = precision === "float32" ? FLOAT32_BYTES / facts.storedBytes : 1;
  return share * STEP_SHARE * heldByEncoder(facts, residency, precision);
}

/** Bytes of the weights that a text encoder holds: the mapped file. */
export function heldByEncoder(facts: LayeredFacts, residency: Residency, precision: Precision): number {
  const layer = precisionBytes(facts.layerBytes, facts, precision);
  const held = residency === "stream" ? layer : precisionBytes(facts.weightBytes, facts, precision);
  return precision === "int8" || precision === "int4" ? held + PACKING_SHARE * layer : held;
}
