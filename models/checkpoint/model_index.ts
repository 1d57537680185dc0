// This module is browser compatible.

/**
 * `model_index.json`: the pipeline class of a checkpoint, and the class of each of its components.
 *
 * @module
 */

import { parseValue } from "../../errors/parse_value.ts";
import { z } from "zod";
import type { Architecture } from "../architecture.ts";
import { architectureOfPipeline, componentClasses, listArchitectures } from "../architectures.ts";
import { CheckpointError, UnsupportedArchitectureError } from "./checkpoint_errors.ts";
import { parseLenientJson } from "./lenient_json.ts";

/** A part of a checkpoint that has weights. */
export type CheckpointPart = "transformer" | "text_encoder" | "vae";

/** A component with weights: a part of a checkpoint, or a ControlNet, which is published separately. */
export type ComponentName = CheckpointPart | "controlnet";

/** Names of all parts of a checkpoint that have weights. */
export const COMPONENT_NAMES: readonly CheckpointPart[] = ["transformer", "text_encoder", "vae"];

/** The content of `model_index.json`. */
export interface ModelIndex {
  /** The architecture that runs the checkpoint. */
  readonly architecture: Architecture;
  /** The architecture's family to which the checkpoint belongs: `alpha`. */
  readonly family: string;
  /** The pipeline's class: `PixArtAlphaPipeline`. */
  readonly pipeline: string;
  /** The class of each component that is not declared absent, including the tokenizer and the scheduler. */
  readonly classes: Readonly<Record<string, string>>;
}

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
 * @throws {CheckpointError} if it is not JSON or not a model index.
 * @throws {UnsupportedArchitectureError} if no architecture supports the pipeline or one of its components.
 */
export function parseModelIndex(text: string, name: string): ModelIndex {
  const parsed = parseValue(
    Index,
    parseLenientJson(text, name),
    ({ clause }, options) => new CheckpointError(`Cannot read ${name} as a model index: ${clause}`, options),
  );
  const pipeline = parsed._class_name;
  const architecture = architectureOfPipeline(pipeline);
  if (architecture === undefined) {
    const known = listArchitectures().flatMap(({ pipelines }) => Object.keys(pipelines));
    throw new UnsupportedArchitectureError(
      `Cannot open ${name}: its _class_name is ${pipeline}, but must be one of ${known.join(", ")}`,
    );
  }
  const classes: Record<string, string> = {};
  for (const key of [...COMPONENT_NAMES, "tokenizer", "scheduler"] as const) {
    const className = parsed[key]?.[1];
    if (className) classes[key] = className;
  }
  for (const key of COMPONENT_NAMES) checkClass(key, classes[key], name);
  return { architecture, family: architecture.pipelines[pipeline]!, pipeline, classes };
}

/** Returns the component to which a class belongs; `undefined` if the class is not supported. */
export function componentOfClass(className: string): ComponentName | undefined {
  const all: readonly ComponentName[] = [...COMPONENT_NAMES, "controlnet"];
  return all.find((name) => componentClasses(name).includes(className));
}

/** Rejects an unsupported class of a component. An absent class is accepted. */
export function checkClass(component: ComponentName, className: string | undefined, where: string): void {
  const supported = componentClasses(component);
  if (className === undefined || supported.includes(className)) return;
  throw new UnsupportedArchitectureError(
    `Cannot open ${where}: the class of ${component} is ${className}, but must be one of ${
      supported.join(", ")
    }`,
  );
}
