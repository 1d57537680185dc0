// This module is browser compatible.

/**
 * The options shared by the schedulers that work on training timesteps: DDPM, DDIM and LCM.
 *
 * @module
 */

import { z } from "zod";
import { betaOptions } from "./betas.ts";
import { diffusionPredictionOption } from "./solver_options.ts";
import { clippingOptions, thresholdingOptions } from "./thresholding.ts";
import { leadingSpacingOptions } from "./timestep_spacing.ts";

/**
 * Options for the noise schedule, the type of prediction, the bounds of the clean sample and the spacing of
 * timesteps.
 */
export const diffusionOptions = {
  ...betaOptions,
  ...clippingOptions,
  prediction_type: diffusionPredictionOption,
  ...thresholdingOptions,
  ...leadingSpacingOptions,
  rescale_betas_zero_snr: z.boolean().default(false),
};
