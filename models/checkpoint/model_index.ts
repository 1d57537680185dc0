// This module is browser compatible.

/**
 * `model_index.json`: which pipeline a checkpoint is of, and the class of each of its components.
 *
 * @module
 */

import { z } from "zod";
import { CheckpointError, UnsupportedArchitectureError } from "./checkpoint_errors.ts";
import { parseLenientJson } from "./lenient_json.ts";

/** The two kinds of PixArt: α with 120 text tokens and size conditions, Σ with 300 and without. */
export type Family = "alpha" | "sigma";

/** The parts of a checkpoint that have weights. */
export type ComponentName = "transformer" | "text_encoder" | "vae";

/** Names of the components that have weights. */
export const COMPONENT_NAMES: readonly ComponentName[] = ["transformer", "text_encoder", "vae"];

/** What `model_index.json` says. */
export interface ModelIndex {
  /** Which PixArt it is. */
  readonly family: Family;
  /** The pipeline's class: `PixArtAlphaPipeline`. */
  readonly pipeline: string;
  /** The class of each component that is not declared absent, tokenizer and scheduler included. */
  readonly classes: Readonly<Record<string, string>>;
}

const FAMILIES: Readonly<Record<string, Family>> = {
  PixArtAlphaPipeline: "alpha",
  PixArtSigmaPipeline: "sigma",
};

const SUPPORTED_CLASSES: Readonly<Record<ComponentName, readonly string[]>> = {
  // Published α checkpoints carry the class that the transformer had before diffusers gave PixArt its own.
  transformer: ["PixArtTransformer2DModel", "Transformer2DModel"],
  text_encoder: ["T5EncoderModel"],
  vae: ["AutoencoderKL", "AutoencoderTiny"],
};

const Entry = z.tuple([z.string().nullable(), z.string().nullable()]);
const Index = z.looseObject({
  _class_name: z.string(),
  transformer: Entry.optional(),
  text_encoder: Entry.optional(),
  tokenizer: Entry.optional(),
  vae: Entry.optional(),
  scheduler: Entry.optional(),
});

/**
 * Parses `model_index.json`.
 *
 * @param text Its text.
 * @param name Its name, for errors.
 * @returns The pipeline and the classes of its components.
 * @throws {SyntaxError} if it is not JSON.
 * @throws {CheckpointError} if it is not a model index.
 * @throws {UnsupportedArchitectureError} if the pipeline or one of its components is not of PixArt.
 */
export function parseModelIndex(text: string, name: string): ModelIndex {
  const parsed = Index.safeParse(parseLenientJson(text, name));
  if (!parsed.success) {
    throw new CheckpointError(`Cannot read ${name} as a model index: ${z.prettifyError(parsed.error)}`);
  }
  const pipeline = parsed.data._class_name;
  const family = Object.hasOwn(FAMILIES, pipeline) ? FAMILIES[pipeline] : undefined;
  if (family === undefined) {
    throw new UnsupportedArchitectureError(
      `Cannot open ${name} as _class_name must be one of ${Object.keys(FAMILIES).join(", ")}: ` +
        `current value is ${pipeline}`,
    );
  }
  const classes: Record<string, string> = {};
  for (const key of [...COMPONENT_NAMES, "tokenizer", "scheduler"] as const) {
    const className = parsed.data[key]?.[1];
    if (className) classes[key] = className;
  }
  for (const key of COMPONENT_NAMES) checkClass(key, classes[key], name);
  return { family, pipeline, classes };
}

/** The component that a class is of; `undefined` if it is none of the supported ones. */
export function componentOfClass(className: string): ComponentName | undefined {
  return COMPONENT_NAMES.find((name) => SUPPORTED_CLASSES[name].includes(className));
}

/** Refuses the class of a component that is none of the supported ones; an absent class passes. */
export function checkClass(component: ComponentName, className: string | undefined, where: string): void {
  const supported = SUPPORTED_CLASSES[component];
  if (className === undefined || supported.includes(className)) return;
  throw new UnsupportedArchitectureError(
    `Cannot open ${where} as the class of ${component} must be one of ${supported.join(", ")}: ` +
      `current value is ${className}`,
  );
}
