// This module is browser compatible.

import { InputError } from "../errors/pixstage_error.ts";
import type { Component } from "../models/checkpoint/component.ts";
import type { Weights } from "../models/checkpoint/weights.ts";
import { checkPrecision, type Precision } from "../residency/precision.ts";
import type { StageContext } from "./stage.ts";

/**
 * Opens the weights of a stage's component in the precision that is asked for.
 *
 * @param context Where checkpoints come from, what runs the stage, and who hears of a quantization.
 * @param component The component.
 * @param part Its name, for reports.
 * @param precision The precision of its matrices.
 * @throws {InputError} if the device has no such precision.
 * @throws {InputError} if there is no place for quantized weights here.
 */
export async function stageWeights(
  { models, runtime, report, signal }: Pick<
    StageContext<unknown>,
    "models" | "runtime" | "report" | "signal"
  >,
  component: Component,
  part: string,
  precision: Precision,
): Promise<Weights> {
  checkPrecision(precision, runtime.device);
  if (precision === "float32" || precision === "float16") return await component.weights();
  if (!models.quantized) {
    throw new InputError(
      "invalid_value",
      `Cannot run in ${precision} as there is no place here to keep quantized weights: choose float32`,
    );
  }
  return await models.quantized(component, precision, {
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
