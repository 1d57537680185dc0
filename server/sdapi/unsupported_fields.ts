/**
 * Finds the fields of an AUTOMATIC1111 request that the server cannot honour. It refuses fields that would
 * change the picture, and warns about fields that have no meaning for these models.
 *
 * @module
 */

import { ApiError } from "../api_error.ts";
import type { PictureRequest, TextRequest } from "../schemas/sdapi_request.ts";

/** Returns whether a field's value requests no change. */
type Neutral = (value: unknown) => boolean;

const isOff: Neutral = (value) => value === null || Number(value) === 0;
const isEmpty: Neutral = (value) =>
  value === null || value === "" || value === "None" || value === "Automatic";
const oneOf = (...values: readonly number[]): Neutral => (value) =>
  value === null || values.includes(Number(value));
const notPositive: Neutral = (value) => value === null || Number(value) <= 0;

/** Fields whose other values would change the picture, and advice on what to do instead. */
const REFUSED: ReadonlyMap<string, readonly [neutral: Neutral, advice: string]> = new Map([
  ["enable_hr", [isOff, "this server has no second pass at a larger size: request the larger size directly"]],
  ["tiling", [isOff, "this server cannot make tileable pictures: leave it out"]],
  ["subseed_strength", [isOff, "this server cannot mix the noise of two seeds: leave it out"]],
  ["seed_resize_from_h", [notPositive, "this server cannot use the noise of another size: leave it out"]],
  ["seed_resize_from_w", [notPositive, "this server cannot use the noise of another size: leave it out"]],
  ["script_name", [isEmpty, "this server has no scripts: leave it out"]],
  ["refiner_checkpoint", [
    isEmpty,
    "this route cannot use another model for the last steps: send a graph to /v1/jobs",
  ]],
  ["inpainting_mask_invert", [
    isOff,
    "this server cannot invert a mask: send one whose white area marks the part to repaint",
  ]],
  ["latent_mask", [isEmpty, "send mask"]],
]);

/** Fields that have no effect on these models, and the values that need no warning. */
const WITHOUT_EFFECT: ReadonlyMap<string, Neutral> = new Map([
  ["restore_faces", isOff],
  ["eta", oneOf(0, 1)],
  ["s_churn", isOff],
  ["s_tmin", isOff],
  ["s_tmax", (value) => isOff(value) || Number(value) >= 999],
  ["s_noise", oneOf(1)],
  ["s_min_uncond", isOff],
  ["mask_blur", oneOf(0, 4)],
  ["inpainting_fill", oneOf(0, 1)],
  ["resize_mode", isOff],
  ["initial_noise_multiplier", oneOf(0, 1)],
  ["image_cfg_scale", oneOf(0, 1.5)],
]);

/** Settings that a request may override, and the values that this server supports. */
const SETTINGS: ReadonlyMap<string, Neutral> = new Map([
  ["sd_model_checkpoint", () => true],
  ["sd_vae", isEmpty],
  ["CLIP_stop_at_last_layers", oneOf(0, 1)],
  ["img2img_fix_steps", isOff],
]);

/**
 * Fields that control the web UI's files, its user and its queue, or that belong to a feature that is off.
 */
const WITHOUT_MEANING = new Set([
  "subseed",
  "sampler_index",
  "save_images",
  "do_not_save_samples",
  "do_not_save_grid",
  "override_settings_restore_afterwards",
  "force_task_id",
  "comments",
  "infotext",
  "refiner_switch_at",
  "firstphase_width",
  "firstphase_height",
  "inpaint_full_res_padding",
  "mask_blur_x",
  "mask_blur_y",
  "mask_round",
  "url",
  "auth",
]);

/** Returns whether this server supports a value of a setting that the web UI also lets requests override. */
export function isSupportedSetting(name: string, value: unknown): boolean {
  return SETTINGS.get(name)?.(value) === true;
}

/** A weighted word in the syntax of the web UI's prompts. */
const WEIGHTED = /\([^()]{1,200}:\s*\d+(?:\.\d+)?\s*\)/;

/** Maximum number of fields that warnings name. */
const MOST_NAMED = 20;

/**
 * Checks that the server can honour a request.
 *
 * @param request The request.
 * @param known The fields of its schema.
 * @returns A warning for each field without effect.
 * @throws {ApiError} 400 with the first field that asks for something impossible.
 */
export function refuseUnsupported(request: TextRequest | PictureRequest, known: object): string[] {
  const warnings: string[] = [];
  for (const [name, value] of Object.entries(request)) {
    const [neutral, advice = ""] = REFUSED.get(name) ?? [];
    if (neutral && value !== undefined && !neutral(value)) throw refusal(name, advice);
    const harmless = WITHOUT_EFFECT.get(name);
    if (harmless && value !== undefined && !harmless(value)) {
      warnings.push(`Parameter ${name} has no effect on these models and was ignored`);
    }
    const isKnown = neutral || harmless || Object.hasOwn(known, name) || WITHOUT_MEANING.has(name) ||
      name.startsWith("hr_");
    if (!isKnown && value !== null && warnings.length < MOST_NAMED) {
      warnings.push(`Parameter ${name.slice(0, 60)} is unknown and was ignored`);
    }
  }
  for (const [name, script] of Object.entries(request.alwayson_scripts ?? {})) {
    const { args } = Object(script);
    if (script === null || Array.isArray(args) && args.length === 0 || args === undefined) continue;
    throw refusal(
      "alwayson_scripts",
      `this server has no script ${JSON.stringify(name.slice(0, 60))}: leave it out`,
    );
  }
  for (const [name, value] of Object.entries(request.override_settings ?? {}).slice(0, MOST_NAMED)) {
    if (isSupportedSetting(name, value)) continue;
    warnings.push(
      `Parameter override_settings.${name.slice(0, 60)} has no effect on these models and was ignored`,
    );
  }
  if (request.styles?.length) warnings.push("Parameter styles was ignored because this server has no styles");
  if (WEIGHTED.test(request.prompt) || WEIGHTED.test(request.negative_prompt ?? "")) {
    warnings.push(
      "Word weights such as (word:1.2) are not supported and were read as text",
    );
  }
  return warnings;
}

function refusal(param: string, advice: string): ApiError {
  return new ApiError("invalid_value", `${param}: ${advice}`, { param });
}
