// This module is browser compatible.

/**
 * The options that the multistep and singlestep exponential solvers share.
 *
 * @module
 */

import { z } from "zod";
import { betaOptions } from "./betas.ts";
import { type DpmAlgorithm, predictsClean } from "./dpm_solver_update.ts";
import { flowOptions } from "./flow_sigmas.ts";
import type { PredictionType } from "./prediction.ts";
import { ScheduleError } from "./scheduler_error.ts";
import { type SigmaSpacingConfig, sigmaSpacingOptions, sigmaSpacingsIn } from "./sigma_spacing.ts";
import { thresholdingOptions } from "./thresholding.ts";

/** The type of the model's prediction. */
export const predictionOption = z.enum(["epsilon", "sample", "v_prediction", "flow_prediction"]).default(
  "epsilon",
);

/** The type of the model's prediction, for schedulers that do not support flows. */
export const diffusionPredictionOption = z.enum(["epsilon", "sample", "v_prediction"]).default("epsilon");

/** The noise level at which the last step ends. */
export const finalSigmasOption = z.enum(["zero", "sigma_min"]).default("zero");

/** The options of every exponential solver. */
export const solverOptions = {
  ...betaOptions,
  solver_order: z.int().min(1).max(3).default(2),
  prediction_type: predictionOption,
  ...thresholdingOptions,
  ...sigmaSpacingOptions,
  ...flowOptions,
};

/** A bound that JSON cannot express: minus infinity is written as `null` or as text. */
export const lambdaMinOption = z
  .custom<number | string | null>(
    (value) => value === null || value === "-Infinity" || typeof value === "number" && !Number.isNaN(value),
    "must be a number or -Infinity",
  )
  .default(-Infinity)
  .transform((value) => typeof value === "number" ? value : -Infinity);

/**
 * Returns an option for which values from other schedulers' configurations count as the default.
 *
 * @param values The supported values, the default first.
 * @param foreign Values of other schedulers.
 */
export function optionAmongForeign<const Value extends string>(
  values: readonly [Value, ...Value[]],
  foreign: readonly string[],
): z.ZodType<Value> {
  const known: readonly string[] = [...values, ...foreign];
  return z
    .string()
    .refine((value) => known.includes(value), `must be one of ${values.join(", ")}`)
    .default(values[0])
    .transform((value) => values.find((known) => known === value) ?? values[0]);
}

/**
 * Refuses custom timesteps if an option determines the spacing of sigmas.
 *
 * @throws {ScheduleError} if such an option is on.
 */
export function checkTimestepsAreFree(
  name: string,
  config: SigmaSpacingConfig & {
    readonly use_lu_lambdas?: boolean | null;
    readonly use_flow_sigmas?: boolean | null;
  },
): void {
  const spacings = sigmaSpacingsIn(config);
  if (config.use_lu_lambdas) spacings.push("use_lu_lambdas");
  if (config.use_flow_sigmas) spacings.push("use_flow_sigmas");
  if (spacings.length === 0) return;
  throw new ScheduleError(
    `Cannot lay out ${name} by timesteps because ${spacings[0]} must be off: it is on`,
    "timesteps",
  );
}

/** Adds an issue for each DPM-Solver option that contradicts `algorithm_type`. */
export function checkDpmAlgorithm(
  config: {
    readonly algorithm_type: DpmAlgorithm;
    readonly final_sigmas_type: "zero" | "sigma_min";
    readonly prediction_type: PredictionType;
  },
  context: z.RefinementCtx,
): void {
  const { algorithm_type: algorithm } = config;
  if (predictsClean(algorithm)) return;
  const refuse = (option: string, message: string): void =>
    context.addIssue({
      code: "custom",
      path: [option],
      message: `must be ${message} with algorithm_type ${algorithm}`,
    });
  if (config.final_sigmas_type === "zero") refuse("final_sigmas_type", "sigma_min");
  if (config.prediction_type === "flow_prediction") {
    refuse("prediction_type", "epsilon, sample or v_prediction");
  }
}
