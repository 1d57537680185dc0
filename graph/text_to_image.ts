// This module is browser compatible.

/**
 * The graph of a run from text to pictures: what `gen` runs, made of nothing but the document's own parts.
 *
 * @module
 */

import { parseValue } from "../errors/parse_value.ts";
import { InputError } from "../errors/pixstage_error.ts";
import { precisionOf } from "../residency/precision.ts";
import { imageSeeds } from "../stages/image_seeds.ts";
import type { GraphDocumentInput } from "./document.ts";
import { type PictureRequestInput, pictureRequestSchema } from "./picture_request.ts";

/** What a graph begins from instead of prompts and seeds, and whether it is guided. */
export interface TextToImageOptions {
  /** Whether negative embeddings are made: whether the guidance scale is above 1. */
  readonly guided: boolean;
  /** A file of embeddings, instead of encoding. */
  readonly embeddingsFile?: string | undefined;
  /** A file of initial noise, instead of that of the seeds. */
  readonly noiseFile?: string | undefined;
  /** A file of latents, instead of encoding and denoising. */
  readonly latentsFile?: string | undefined;
}

/**
 * Writes the graph document of a run from text to pictures: nodes `prompt`, `negative`, `pair`, `denoise` and `decode`,
 * those that the given files make needless left out. Embeddings flow from `pair` where guidance is on and from `prompt`
 * where it is off.
 *
 * @param request What the picture is made from.
 * @param options What the graph begins from.
 * @returns The document.
 * @throws {InputError} if there is neither a prompt nor a file to begin with, or both.
 * @throws {InputError} if there are several seeds, but not one for each picture.
 *
 * @example Usage
 * ```ts
 * import { textToImage } from "./text_to_image.ts";
 *
 * const graph = textToImage({ model: "pixstage-emoji", prompts: ["cute cat"] }, { guided: true });
 * console.assert(Object.keys(graph.nodes).join() === "prompt,negative,pair,denoise,decode");
 * ```
 */
export function textToImage(request: PictureRequestInput, options: TextToImageOptions): GraphDocumentInput {
  const {
    model,
    variant,
    prompts = [],
    negativePrompt = "",
    cleanCaption,
    maxSequenceLength,
    vae,
    tiling,
    tileSize,
    tileOverlap,
    precision,
    ...denoise
  } = request;
  const { guided, embeddingsFile, noiseFile, latentsFile } = options;
  parseValue(pictureRequestSchema, request);
  const given = embeddingsFile ?? latentsFile;
  if (prompts.length === 0 && given === undefined) {
    throw new InputError(
      "invalid_value",
      "Cannot make a picture as a prompt or a file to begin from must be given",
    );
  }
  if (prompts.length > 0 && given !== undefined) {
    throw new InputError("invalid_value", `Cannot use both prompts and ${given}: give one of them`);
  }
  if (prompts.length > 0) imageSeeds(request.seeds ?? [0], prompts.length * (request.imagesPerPrompt ?? 1));
  const checkpoint = withoutUndefined({ model, variant });
  const stagePrecision = (stage: "encode" | "denoise") =>
    withoutUndefined({ precision: precisionOf(stage, precision) });
  const encode = (texts: readonly string[]) => ({
    stage: "encode",
    parameters: {
      ...checkpoint,
      prompts: [...texts],
      ...withoutUndefined({ cleanCaption, maxSequenceLength }),
      ...stagePrecision("encode"),
    },
  });
  const nodes: GraphDocumentInput["nodes"] = {};
  if (given === undefined) {
    nodes["prompt"] = encode(prompts);
    if (guided) {
      nodes["negative"] = encode([negativePrompt].flat());
      nodes["pair"] = {
        stage: "pair",
        inputs: { positive: "prompt.embeddings", negative: "negative.embeddings" },
      };
    }
  }
  if (latentsFile === undefined) {
    nodes["denoise"] = {
      stage: "denoise",
      parameters: { ...checkpoint, ...withoutUndefined(denoise), ...stagePrecision("denoise") },
      inputs: {
        embeddings: embeddingsFile === undefined ? embeddingsSource(guided) : { file: embeddingsFile },
        ...(noiseFile === undefined ? {} : { noise: { file: noiseFile } }),
      },
    };
  }
  nodes["decode"] = {
    stage: "decode",
    parameters: {
      ...(vae === undefined ? checkpoint : { model: vae }),
      ...withoutUndefined({ tiling, tileSize, tileOverlap }),
    },
    inputs: { latents: latentsFile === undefined ? "denoise.latents" : { file: latentsFile } },
  };
  return { pixstage: 1, nodes };
}

/** Where a graph of {@linkcode textToImage} has its embeddings: the pair's, or the prompts' where guidance is off. */
export function embeddingsSource(guided: boolean): string {
  return guided ? "pair.embeddings" : "prompt.embeddings";
}

/** An object without the fields that are undefined. */
function withoutUndefined(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
