// This module is browser compatible.

/**
 * `pixstage.json`: settings that a checkpoint's author recommends for a run. diffusers' folder layout has no
 * place for them, and few-step models produce noise with the usual 20 steps.
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
  /**
   * Preview colours as red, green and blue, 0 to 255: `bias` is the colour of latents of 0, and each row is
   * added per unit of a latent channel.
   */
  latentColours: z.strictObject({ bias: colour, rows: z.array(colour) }).optional(),
  license: z.string().optional(),
  description: z.string().optional(),
});

/** Recommended settings of a checkpoint, all optional. */
export type RunDefaults = Readonly<z.infer<typeof runDefaultsSchema>>;

/**
 * Returns the names of the files that can contain the settings, in order of precedence. A variant, such as a
 * few-step one, can have its own file.
 *
 * @param variant The variant of the weights; `""` for the plain ones.
 * @returns The names; the first file that exists applies.
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
 * @throws {CheckpointError} if it is not JSON, or if a setting is unknown or out of range.
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
    ({ clause }, options) => new CheckpointError(`Cannot read ${name} as run settings: ${clause}`, options),
  );
}
