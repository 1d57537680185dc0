// This module is browser compatible.

/**
 * The inputs of the stages that denoise, and what is refused of them: by their outlines, before any weight is read.
 *
 * @module
 */

import { InputError } from "../../errors/pixstage_error.ts";
import { ArtifactError } from "../../artifacts/artifact.ts";
import type { ArtifactOutline } from "../../artifacts/outline.ts";
import type { DenoiserModel } from "../../models/architecture.ts";
import { checkControlShape, controlIdentity, requireControl } from "./control.ts";
import { pagIdentity } from "./perturbed_attention.ts";
import {
  type DenoiseParameters,
  type DenoiseSettings,
  effectiveInterval,
  fixedIdentity,
  imageSeeds,
} from "./settings.ts";
import { checkPicture } from "./picture.ts";
import { checkSnapshot, type DenoiseIdentity, snapshotOutlines } from "./snapshot.ts";

/** Input ports of the stages that denoise. */
export const denoiseInputs = {
  embeddings: {
    kind: "embeddings",
    description: "Prompts; those of the snapshot if left out. They may hold negative prompts too.",
    optional: true,
  },
  negative: {
    kind: "embeddings",
    description: "One negative prompt, or one for each prompt. Ignored where guidance is off.",
    optional: true,
  },
  image: {
    kind: "latents",
    description: "Latents of pictures to begin from, as encode-image gives them.",
    optional: true,
  },
  mask: {
    kind: "mask",
    description: "Which part of the pictures is repainted; all if left out.",
    optional: true,
  },
  noise: { kind: "latents", description: "Initial noise instead of that of the seeds.", optional: true },
  control: {
    kind: "latents",
    description:
      "Latents of the picture that a ControlNet follows: of one for all images, or of one for each.",
    optional: true,
  },
  checkpoint: { kind: "checkpoint", description: "The state to go on from.", optional: true },
} as const;

/** What the outlines of a denoising's inputs tell. */
export interface DenoiseInputs {
  /** What a state of the denoising depends on, as far as it is known. */
  readonly identity: DenoiseIdentity;
  /** Images in all, where that is known. */
  readonly images: number | undefined;
  /** Tokens of the longest prompt. */
  readonly promptTokens: number;
  /** Tokens of the longest negative prompt. */
  readonly negativeTokens: number;
  /** The prompts and negative prompts as given, where they are known. */
  readonly texts: { readonly prompts?: unknown; readonly negativePrompts?: unknown };
}

/** Outlines at the connected ports. */
type Given = { readonly [K in keyof typeof denoiseInputs]?: ArtifactOutline | undefined };

/** The outlines at the ports, and those that a state to go on from brings with it. */
export function allOutlines({ checkpoint, ...rest }: Given): Omit<Given, "checkpoint"> {
  return { ...(checkpoint ? snapshotOutlines(checkpoint) : {}), ...rest };
}

/**
 * Holds the outlines of the inputs against the settings.
 *
 * @param given Outlines at the connected ports.
 * @param parameters The stage's parameters.
 * @param settings The settings of the run.
 * @param model What the transformer is.
 * @returns What they tell.
 * @throws {InputError} if there are no embeddings.
 * @throws {ArtifactError} if an input does not fit.
 * @throws {InputError} if seeds do not fit the images.
 */
export function checkInputs(
  given: Given,
  parameters: DenoiseParameters & { readonly allowChanges: boolean },
  settings: DenoiseSettings,
  model: DenoiserModel,
): DenoiseInputs {
  const { checkpoint } = given;
  const { embeddings, negative, noise, image, mask, control } = allOutlines(given);
  if (!embeddings) {
    throw new InputError(
      "missing_input",
      "Cannot denoise as embeddings, or a checkpoint that holds them, must be connected",
    );
  }
  const shape = embeddings.shapes["prompt_embeds"];
  const images = shape && shape[0]! * parameters.imagesPerPrompt;
  if (shape) {
    if (shape.length === 3) model.checkEmbeddings(shape[2]!);
    imageSeeds(parameters.seeds, images!);
    const negatives = negative
      ? negative.shapes["prompt_embeds"]
      : embeddings.shapes["negative_prompt_embeds"];
    const isUnknown = negative !== undefined && negatives === undefined;
    if (settings.guided && !isUnknown) checkNegatives(negatives?.[0], shape[0]!, settings.guidanceScale);
  }
  const noiseShape = noise?.shapes["latents"];
  if (noiseShape) checkNoise(noiseShape, images ?? noiseShape[0]!, model.latentShape(settings.renderSize));
  const latentShape = model.latentShape(settings.renderSize);
  checkPicture({ latents: image?.shapes["latents"], mask: mask?.shapes["mask"] }, images, latentShape);
  // A state that is not there yet does not tell what it holds.
  if (settings.control && (!checkpoint || "fixed" in checkpoint.metadata)) requireControl(control);
  const controlShape = settings.control && control?.shapes["latents"];
  if (controlShape) checkControlShape(controlShape, images ?? controlShape[0]!, latentShape);
  const identity = {
    fixed: {
      ...fixedIdentity(parameters, settings, latentShape),
      ...(images === undefined ? {} : { seeds: imageSeeds(parameters.seeds, images).map(String) }),
    },
    changeable: {
      guidanceScale: settings.guidanceScale,
      guidanceInterval: effectiveInterval(parameters, settings) ?? null,
      pag: settings.pag ? pagIdentity(settings.pag) : null,
      control: settings.control ? controlIdentity(settings.control) : null,
    },
  };
  if (checkpoint) checkSnapshot(checkpoint, identity, parameters.allowChanges);
  const longest = (outline: ArtifactOutline | undefined, tensor: string): number =>
    outline?.tokens ? Math.max(...outline.tokens) : outline?.shapes[tensor]?.[1] ?? 0;
  const negativePrompts = negative ? negative.metadata["prompts"] : embeddings.metadata["negativePrompts"];
  return {
    identity,
    images,
    promptTokens: longest(embeddings, "prompt_embeds"),
    negativeTokens: negative
      ? longest(negative, "prompt_embeds")
      : embeddings.shapes["negative_prompt_embeds"]?.[1] ?? 0,
    texts: { prompts: embeddings.metadata["prompts"], negativePrompts },
  };
}

/**
 * Refuses guidance without negative prompts, or with a number of them that fits no prompts.
 *
 * @param negatives How many there are.
 * @param prompts How many prompts there are.
 * @param guidanceScale The guidance scale, for the error.
 */
export function checkNegatives(negatives: number | undefined, prompts: number, guidanceScale: number): void {
  if (negatives === undefined) {
    throw new ArtifactError(
      `Cannot guide as embeddings must hold negative_prompt_embeds: guidance scale is ${guidanceScale}. ` +
        "Give negative embeddings, or a guidance scale of 1",
    );
  }
  if (negatives !== 1 && negatives !== prompts) {
    throw new ArtifactError(
      `Cannot guide as there must be 1 or ${prompts} negative prompts: there are ${negatives}`,
    );
  }
}

/** Refuses initial noise of another shape than that of the images' latents. */
export function checkNoise(found: readonly number[], images: number, shape: readonly number[]): void {
  const wanted = [images, ...shape.slice(1)];
  if (found.length === wanted.length && wanted.every((size, axis) => size === found[axis])) return;
  throw new ArtifactError(
    `Cannot use the initial noise as its shape must be [${wanted}]: it is [${found}]`,
    { details: { field: "noise" } },
  );
}
