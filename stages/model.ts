// This module is browser compatible.

/**
 * Parameters and weights of the stages that use a checkpoint.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { z } from "zod";
import type { JsonObject } from "../artifacts/artifact.ts";
import type { Component } from "../models/checkpoint/component.ts";
import type { Weights } from "../models/checkpoint/weights.ts";
import { defaultResidency, weightBytes } from "../models/memory.ts";
import { checkPrecision, type Precision } from "../models/precision.ts";
import { recipeOf } from "../models/quantization/recipe.ts";
import type { LoadProgress, Residency } from "../models/segments.ts";
import type { RuntimeTraits } from "../runtime/runtime.ts";
import type { PrepareContext, RunContext } from "./stage.ts";
import type { StageReport } from "./stage_report.ts";

/** The parameters in which every stage that uses a checkpoint names it. */
export const modelParameters = {
  /** The checkpoint: a folder, `org/name` or `org/name@revision`. */
  model: z.string().min(1, "A model is needed"),
  /** Which files to read if the checkpoint has several variants, e.g. `fp16`. */
  variant: z.string().min(1).optional(),
};

/**
 * Returns the part of a result's identity that its precision determines. For quantized weights it includes
 * the version of the quantizer.
 *
 * @param precision The precision.
 * @param traits The traits of the device.
 * @param runsOnce Whether each layer runs once in the stage.
 */
export function precisionIdentity(
  precision: Precision,
  traits: RuntimeTraits,
  runsOnce: boolean = false,
): JsonObject {
  const recipe = recipeOf(precision, traits, runsOnce);
  return recipe ? { precision: recipe.name, quantizer: recipe.version } : { precision };
}

/**
 * Throws if a precision is not available.
 *
 * @throws {InputError} if the device does not support it.
 * @throws {InputError} if there is no folder for quantized weights.
 */
export function requirePrecision(
  precision: Precision,
  { device, models }: Pick<PrepareContext<unknown>, "device" | "models">,
): void {
  checkPrecision(precision, device);
  if (recipeOf(precision, device.traits) && !models.quantized) {
    throw new InputError(
      "invalid_value",
      `Cannot run in ${precision}: no folder for quantized weights is configured here. Choose float32`,
    );
  }
}

/**
 * Opens the weights of a component in a precision. Quantized weights are written first if they do not exist
 * yet.
 *
 * @param component The component.
 * @param part Its name, for reports.
 * @param precision The precision of its matrices.
 * @param models Opens quantized weights.
 * @param context Receives the reports, and stops the work.
 * @param runsOnce Whether each layer runs once in the stage.
 */
export async function openWeights(
  component: Component,
  part: string,
  precision: Precision,
  models: Pick<PrepareContext<unknown>["models"], "quantized">,
  { runtime, report, signal }: Pick<RunContext, "runtime" | "report" | "signal">,
  runsOnce: boolean = false,
): Promise<Weights> {
  const recipe = recipeOf(precision, runtime.traits, runsOnce);
  if (!recipe || !models.quantized) return await component.weights();
  return await models.quantized(component, recipe.name, {
    signal,
    onProgress: ({ done, total, bytes }) =>
      report({
        type: "stage:load",
        part: `${part} in ${precision}`,
        loaded: done,
        total,
        weightBytes: bytes,
      }),
  });
}

/**
 * Returns how long a stage keeps its layers' weights in memory: as requested, or depending on their size.
 *
 * @param context The stage's context.
 * @param weights The weights.
 * @param runsOnce Whether each layer runs once in the stage.
 */
export function residencyOf(
  { residency, device }: Pick<PrepareContext<unknown>, "residency" | "device">,
  weights: Weights,
  runsOnce: boolean = false,
): Residency {
  return residency ?? defaultResidency(device.traits, weightBytes(weights), runsOnce);
}

/** Returns the report of a segment that is about to be opened. */
export function loadReport(part: string, { index, total, bytes }: LoadProgress): StageReport {
  return { type: "stage:load", part, loaded: index + 1, total, weightBytes: bytes };
}
