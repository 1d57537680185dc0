// This module is browser compatible.

/**
 * The options that the schedulers of training timesteps share: DDPM, DDIM, LCM.
 *
 * @module
 */

import { z } from "zod";
import { betaOptions } from "./betas.ts";
import { diffusionPredictionOption } from "./solver_options.ts";
import { clippingOptions, thresholdingOptions } from "./thresholding.ts";
import { leadingSpacingOptions } from "./timestep_spacing.ts";

/** How noise was added in training, what the model predicts, how that is kept within bounds, which timesteps are visited. */
export const diffusionOptions = {
  ...betaOptions,
  ...clippingOptions,
  prediction_type: diffusionPredictionOption,
  ...thresholdingOptions,
  ...leadingSpacingOptions,
  rescale_betas_zero_snr: z.boolean().default(false),
};
