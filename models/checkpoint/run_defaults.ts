// This module is browser compatible.

/**
 * `pixstage.json`: what a checkpoint's maker recommends for a run. diffusers' folder layout has no place for it, and
 * few-step models give noise with the usual 20 steps.
 *
 * @module
 */

import { z } from "zod";
import { parseValue } from "../../errors/parse_value.ts";
import { CheckpointError } from "./checkpoint_errors.ts";

const colour = z.tuple([z.number(), z.number(), z.number()]);

/** The schema of {@linkcode RunDefaults}. */
export const runDefaultsSchema = z.strictObject({
  steps: z.int().positive().optional(),
  guidanceScale: z.number().optional(),
  scheduler: z.string().min(1).optional(),
  schedulerOptions: z.record(z.string(), z.json()).optional(),
  height: z.int().positive().optional(),
  width: z.int().positive().optional(),
  negativePrompt: z.string().optional(),
  maxSequenceLength: z.int().positive().optional(),
  /** Red, green and blue, 0 to 255, of previews: for latents of 0, and what each channel adds to it. */
  latentColours: z.strictObject({ bias: colour, rows: z.array(colour) }).optional(),
  license: z.string().optional(),
  description: z.string().optional(),
});

/** Recommended settings of a checkpoint; every one may be absent. */
export type RunDefaults = Readonly<z.infer<typeof runDefaultsSchema>>;

/**
 * The files that may hold the settings, the first that is there counts: a variant, such as one of few steps, may have
 * its own.
 *
 * @param variant The variant of the weights; `""` for the plain ones.
 * @returns Their names.
 */
export function runDefaultsFiles(variant: string): string[] {
  return [...(variant === "" ? [] : [`pixstage.${variant}.json`]), "pixstage.json"];
}

/**
 * Parses `pixstage.json`.
 *
 * @param text Its text.
 * @param name Its name, for errors.
 * @returns The settings.
 * @throws {CheckpointError} if it is not JSON, or a setting is unknown or out of range.
 */
export function parseRunDefaults(text: string, name: string): RunDefaults {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError(`Cannot parse ${name} as JSON: ${(cause as Error).message}`, { cause });
  }
  return parseValue(
    runDefaultsSchema,
    value,
    ({ clause }, options) =>
      new CheckpointError(`Cannot read ${name} as settings of a run: ${clause}`, options),
  );
}
