// This module is browser compatible.

/**
 * The graph from text to pictures that `gen` runs. It uses only what any graph document can use.
 *
 * @module
 */

import { parseValue } from "../errors/parse_value.ts";
import { InputError } from "../errors/pixstage_error.ts";
import { checkDecodePrecision, precisionOf } from "../models/precision.ts";
import { imageSeeds } from "../stages/denoise/settings.ts";
import { fillPrompts } from "./fill_prompts.ts";
import type { GraphDocumentInput, GraphInput } from "./document.ts";
import { type PictureRequestInput, pictureRequestSchema } from "./picture_request.ts";

/** Files that a graph starts from instead of prompts and seeds. */
export interface TextToImageOptions {
  /** A file of embeddings. Replaces encoding. */
  readonly embeddingsFile?: string | undefined;
  /** A file of initial noise. Replaces the noise of the seeds. */
  readonly noiseFile?: string | undefined;
  /** A file of latents. Replaces encoding and denoising. */
  readonly latentsFile?: string | undefined;
  /** An initial picture: a PNG, JPEG or WebP file, or an artifact of kind `image`. */
  readonly image?: Exclude<GraphInput, string> | undefined;
  /** A mask for `image`. White areas are repainted. */
  readonly mask?: Exclude<GraphInput, string> | undefined;
  /** The control picture that the request's ControlNet makes the generated pictures follow. */
  readonly controlImage?: Exclude<GraphInput, string> | undefined;
  /** Whether a node `pair` joins prompts and negative prompts into one artifact, as in files. */
  readonly pair?: boolean | undefined;
}

/**
 * Writes the graph document from text to pictures: nodes `prompt`, `negative`, `denoise` and `decode`,
 * without those that given files replace. An initial picture adds `picture`, a mask adds `mask`, and a
 * second transformer adds `denoise-begin`. The
 * checkpoint can decide whether the run uses guidance, so `negative` is always there; it does not run if
 * guidance is off.
 *
 * @param request The request for pictures.
 * @param options Files that the graph starts from.
 * @returns The document.
 * @throws {InputError} if there is neither a prompt nor a file to start from, or both.
 * @throws {InputError} if there is a mask without a picture, or a picture together with latents.
 * @throws {InputError} if there are several seeds, but not one for each picture.
 *
 * @example Usage
 * ```ts
 * import { textToImage } from "./text_to_image.ts";
 *
 * const graph = textToImage({ model: "pixstage-emoji", prompts: ["cute cat"] });
 * console.assert(Object.keys(graph.nodes).join() === "prompt,negative,denoise,decode");
 * ```
 */
export function textToImage(
  request: PictureRequestInput,
  options: TextToImageOptions = {},
): GraphDocumentInput {
  parseValue(pictureRequestSchema, request);
  const {
    model,
    variant,
    prompts = [],
    negativePrompt,
    cleanCaption,
    maxSequenceLength,
    vae,
    tiling,
    tileSize,
    tileOverlap,
    precision,
    softMask,
    secondTransformer,
    secondTransformerFrom,
    ...denoise
  } = fillPrompts(request);
  const { embeddingsFile, noiseFile, latentsFile, pair, image, mask, controlImage } = options;
  const given = embeddingsFile ?? latentsFile;
  if (prompts.length === 0 && given === undefined) {
    throw new InputError(
      "invalid_value",
      "Cannot make a picture from nothing: give a prompt, or a file to start from",
    );
  }
  if (prompts.length > 0 && given !== undefined) {
    throw new InputError("invalid_value", `Cannot use both prompts and ${given}: give only one of them`);
  }
  if (prompts.length > 0) imageSeeds(denoise.seeds ?? [0], prompts.length * (denoise.imagesPerPrompt ?? 1));
  checkPictures(options, softMask);
  checkDecodePrecision(precision);
  const checkpoint = { model, variant };
  const negatives = negativePrompt === undefined ? undefined : [negativePrompt].flat();
  if (negatives && negatives.length > 1 && negatives.length !== prompts.length) {
    throw new InputError(
      "invalid_value",
      `Cannot use ${negatives.length} negative prompts: expected ${
        prompts.length > 1 ? `1 or ${prompts.length}` : "1"
      }`,
      { details: { field: "negativePrompt" } },
    );
  }
  const encode = (texts: readonly string[] | undefined) => ({
    stage: "encode",
    parameters: defined({
      ...checkpoint,
      prompts: texts && [...texts],
      cleanCaption,
      maxSequenceLength,
      precision: precisionOf("encode", precision),
    }),
  });
  const nodes: GraphDocumentInput["nodes"] = {};
  if (given === undefined) {
    nodes["prompt"] = encode(prompts);
    nodes["negative"] = encode(negatives);
    if (pair) {
      const inputs = { positive: "prompt.embeddings", negative: "negative.embeddings" };
      nodes["pair"] = { stage: "pair", inputs };
    }
  }
  const { transformer, height, width, resolutionBinning } = denoise;
  const size = { transformer, vae, height, width, resolutionBinning };
  if ((denoise.controlnet === undefined) !== (controlImage === undefined)) {
    throw new InputError(
      "invalid_value",
      "A ControlNet and the picture that it follows belong together: give both",
      { details: { field: denoise.controlnet === undefined ? "controlImage" : "controlnet" } },
    );
  }
  if (controlImage && latentsFile === undefined) {
    nodes["control"] = {
      stage: "encode-image",
      parameters: defined({ ...checkpoint, ...size, posterior: "mode" }),
      inputs: { image: controlImage },
    };
  }
  if (image) {
    nodes["picture"] = {
      stage: "encode-image",
      parameters: defined({
        ...checkpoint,
        ...size,
        // Blending tiles only applies to decoding.
        tiling: tiling === "blended" ? undefined : tiling,
      }),
      inputs: { image },
    };
  }
  if (mask) {
    nodes["mask"] = {
      stage: "mask",
      parameters: defined({ ...checkpoint, vae, soft: softMask }),
      inputs: { image: mask, latents: "picture.latents" },
    };
  }
  if ((secondTransformer === undefined) !== (secondTransformerFrom === undefined)) {
    throw new InputError(
      "invalid_value",
      "Cannot change the transformer without both secondTransformer and secondTransformerFrom",
      {
        details: {
          field: secondTransformer === undefined ? "secondTransformerFrom" : "secondTransformer",
        },
      },
    );
  }
  if (latentsFile === undefined) {
    const whole = {
      stage: "denoise",
      parameters: defined({ ...checkpoint, ...denoise, precision: precisionOf("denoise", precision) }),
      inputs: {
        ...(embeddingsFile === undefined
          ? { embeddings: "prompt.embeddings", negative: "negative.embeddings" }
          : { embeddings: { file: embeddingsFile } }),
        ...(noiseFile === undefined ? {} : { noise: { file: noiseFile } }),
        ...(image ? { image: "picture.latents" } : {}),
        ...(mask ? { mask: "mask.mask" } : {}),
        ...(controlImage ? { control: "control.latents" } : {}),
      },
    };
    Object.assign(
      nodes,
      secondTransformer === undefined
        ? { denoise: whole }
        : inTwoParts(whole, secondTransformer, secondTransformerFrom!),
    );
  }
  nodes["decode"] = {
    stage: "decode",
    parameters: defined({
      ...(vae === undefined ? checkpoint : { model: vae }),
      tiling,
      tileSize,
      tileOverlap,
      // float16 is the only other precision that an autoencoder supports.
      precision: precisionOf("decode", precision) === "float16" ? "float16" : undefined,
    }),
    inputs: { latents: latentsFile === undefined ? "denoise.latents" : { file: latentsFile } },
  };
  return { pixstage: 1, nodes };
}

/** Splits a denoising: another transformer takes the steps after a fraction of the noise schedule. */
function inTwoParts(
  whole: GraphDocumentInput["nodes"][string],
  transformer: string,
  denoisingEnd: number,
): GraphDocumentInput["nodes"] {
  const { parameters } = whole;
  return {
    "denoise-begin": { ...whole, stage: "denoise-part", parameters: { ...parameters, denoisingEnd } },
    denoise: {
      stage: "denoise",
      parameters: { ...parameters, transformer },
      inputs: { checkpoint: "denoise-begin.checkpoint" },
    },
  };
}

/** Throws if there is a mask without a picture, or a picture in a graph that does not denoise. */
function checkPictures(
  { image, mask, latentsFile }: TextToImageOptions,
  softMask: boolean | undefined,
): void {
  const refuse = (field: string, reason: string): never => {
    throw new InputError("invalid_value", `Cannot use ${field} ${reason}`, { details: { field } });
  };
  if (mask && !image) {
    refuse("mask", "without a picture to repaint: give image too");
  }
  if (softMask && !mask) refuse("softMask", "without a mask: give mask too");
  if (image && latentsFile !== undefined) {
    refuse("image", `together with ${latentsFile}: latents are decoded, and nothing is denoised`);
  }
}

/** Returns an object without its undefined fields. */
function defined(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
