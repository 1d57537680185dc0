// This module is browser compatible.

/**
 * The inputs of the denoising stages. Checks them by their outlines before any weight is read.
 *
 * @module
 */

import { oneOrEach } from "../../errors/expected_count.ts";
import { InputError } from "../../errors/pixstage_error.ts";
import { ArtifactError } from "../../artifacts/artifact.ts";
import type { ArtifactOutline } from "../../artifacts/outline.ts";
import type { DenoiserModel } from "../../models/architecture.ts";
import { settingsToContinue } from "./continued_denoiser.ts";
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

/** Input ports of the denoising stages. */
export const denoiseInputs = {
  embeddings: {
    kind: "embeddings",
    description: "Prompts. The default is those of the snapshot. They can include negative prompts.",
    optional: true,
  },
  negative: {
    kind: "embeddings",
    description: "One negative prompt, or one per prompt. Ignored if guidance is off.",
    optional: true,
  },
  image: {
    kind: "latents",
    description: "Latents of the initial pictures, from encode-image.",
    optional: true,
  },
  mask: {
    kind: "mask",
    description: "Which part of the pictures is repainted. The default is all of it.",
    optional: true,
  },
  noise: { kind: "latents", description: "Initial noise. Replaces the noise of the seeds.", optional: true },
  control: {
    kind: "latents",
    description: "Latents of the picture that a ControlNet follows, one for all images or one per image.",
    optional: true,
  },
  checkpoint: { kind: "checkpoint", description: "The snapshot to continue from.", optional: true },
} as const;

/** The properties of a denoising that follow from the outlines of its inputs. */
export interface DenoiseInputs {
  /** The identity of the denoising in snapshots, as far as it is known. */
  readonly identity: DenoiseIdentity;
  /** Total number of images, if known. */
  readonly images: number | undefined;
  /** Number of tokens of the longest prompt. */
  readonly promptTokens: number;
  /** Number of tokens of the longest negative prompt. */
  readonly negativeTokens: number;
  /** The prompts and negative prompts as the user wrote them, if known. */
  readonly texts: { readonly prompts?: unknown; readonly negativePrompts?: unknown };
}

/** Outlines at the connected ports. */
type Given = { readonly [K in keyof typeof denoiseInputs]?: ArtifactOutline | undefined };

/** Returns the outlines at the ports, and those of the inputs in a snapshot. */
export function allOutlines({ checkpoint, ...rest }: Given): Omit<Given, "checkpoint"> {
  return { ...(checkpoint ? snapshotOutlines(checkpoint) : {}), ...rest };
}

/**
 * Checks the outlines of the inputs against the settings.
 *
 * @param given Outlines at the connected ports.
 * @param parameters The stage's parameters.
 * @param settings The settings of the run.
 * @param model The transformer's architecture.
 * @returns What the outlines determine.
 * @throws {InputError} if there are no embeddings.
 * @throws {ArtifactError} if an input does not match.
 * @throws {InputError} if the number of seeds does not match the images.
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
      "Cannot denoise without embeddings: connect them, or a snapshot that contains them",
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
  // The outline of a snapshot that does not exist yet does not list its inputs.
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
    settings: settingsToContinue(settings),
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
 * Throws if a guided run has no negative prompts, or a number of them that does not match the prompts.
 *
 * @param negatives Number of negative prompts.
 * @param prompts Number of prompts.
 * @param guidanceScale The guidance scale, for the error.
 */
export function checkNegatives(negatives: number | undefined, prompts: number, guidanceScale: number): void {
  if (negatives === undefined) {
    throw new ArtifactError(
      `Cannot use guidance scale ${guidanceScale} because the embeddings contain no negative_prompt_embeds. ` +
        "Give negative embeddings, or use a guidance scale of 1",
    );
  }
  if (negatives !== 1 && negatives !== prompts) {
    throw new ArtifactError(
      `Cannot use guidance: expected ${oneOrEach(prompts, "negative prompt")}, but there are ${negatives}`,
    );
  }
}

/** Throws if initial noise does not have the shape of the images' latents. */
export function checkNoise(found: readonly number[], images: number, shape: readonly number[]): void {
  const wanted = [images, ...shape.slice(1)];
  if (found.length === wanted.length && wanted.every((size, axis) => size === found[axis])) return;
  throw new ArtifactError(
    `Cannot use initial noise of shape [${found}]: expected [${wanted}]`,
    { details: { field: "noise" } },
  );
}
