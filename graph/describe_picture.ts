// This module is browser compatible.

/**
 * The texts that a picture file carries: how the picture was made, and its parameters in the form that users
 * of other programs know.
 *
 * @module
 */

import { z } from "zod";
import type { Artifact } from "../artifacts/artifact.ts";
import { type Provenance, provenanceText } from "./provenance.ts";
import type { PictureFormat } from "../images/picture.ts";

/** The metadata of latents that describes their pictures. Files from elsewhere have none of it. */
const originSchema = z.looseObject({
  prompts: z.array(z.string()).optional(),
  negativePrompts: z.array(z.string()).optional(),
  seeds: z.array(z.string()).optional(),
  imagesPerPrompt: z.number().optional(),
  steps: z.number().optional(),
  scheduler: z.string().optional(),
  guidanceScale: z.number().optional(),
  strength: z.number().optional(),
  guidanceInterval: z.array(z.number()).optional(),
  stepCache: z.number().optional(),
  pag: z.looseObject({ scale: z.number() }).optional(),
  model: z.string().optional(),
  loras: z.array(z.looseObject({ name: z.string(), weight: z.number() })).optional(),
});

/**
 * Returns the texts that a picture file carries.
 *
 * @param artifact The pictures.
 * @param image Index of the picture.
 * @param provenance How the pictures were made.
 * @returns `parameters`, as AUTOMATIC1111's web UI writes them, and `pixstage`, from which the run can be
 * repeated.
 */
export function describePicture(
  artifact: Pick<Artifact, "metadata"> & {
    readonly tensors: Readonly<Record<string, { readonly shape: readonly number[] }>>;
  },
  image: number,
  provenance: Provenance,
): Record<string, string> {
  const origin = originSchema.parse(artifact.metadata);
  const prompt = Math.floor(image / (origin.imagesPerPrompt ?? 1));
  const { negativePrompts = [] } = origin;
  const negative = negativePrompts[negativePrompts.length === 1 ? 0 : prompt];
  const [, , height, width] = artifact.tensors["image"]?.shape ?? [];
  const settings = Object.entries({
    Steps: origin.steps,
    Sampler: origin.scheduler,
    "CFG scale": origin.guidanceScale,
    "Denoising strength": origin.strength,
    "PAG scale": origin.pag?.scale,
    "Guidance interval": origin.guidanceInterval?.join("-"),
    "Step cache": origin.stepCache,
    Seed: origin.seeds?.[image],
    Size: `${width}x${height}`,
    Model: origin.model,
    LoRAs: origin.loras?.map(({ name, weight }) => `${name} ${weight}`).join(" + "),
  }).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}: ${quoted(String(value))}`);
  const lines = [
    origin.prompts?.[prompt],
    negative && `Negative prompt: ${negative}`,
    settings.join(", "),
  ].filter((line) => line);
  return { parameters: lines.join("\n"), pixstage: provenanceText(provenance, { image }) };
}

/**
 * Maximum number of UTF-16 units that a prompt contributes to a file name: at most 180 bytes, of the 255 that
 * file systems allow.
 */
const LONGEST_NAME = 60;

/**
 * Quotes a value of the settings line if needed, as `quote` of the web UI's `infotext_utils.py` does: a comma
 * would end it.
 */
function quoted(value: string): string {
  return /[,:\n]/.test(value) ? JSON.stringify(value) : value;
}

/** Returns the default file name of a picture: its prompt and its seed. */
export function defaultName(metadata: Artifact["metadata"], format: PictureFormat): string {
  const { prompts, seeds } = originSchema.parse(metadata);
  const words = (prompts?.[0] ?? "").toLowerCase().match(/[\p{L}\p{N}][\p{L}\p{M}\p{N}]*/gu) ?? [];
  const name = beginning(words.slice(0, 6).join("-"), LONGEST_NAME) || "picture";
  const seed = seeds?.[0] === undefined ? "" : `-${seeds[0]}`;
  return `${name}${seed}.${format === "jpeg" ? "jpg" : format}`;
}

/** Truncates a text between grapheme clusters. */
function beginning(text: string, length: number): string {
  let end = 0;
  for (const { index, segment } of new Intl.Segmenter().segment(text)) {
    if (index + segment.length > length) break;
    end = index + segment.length;
  }
  return text.slice(0, end);
}
