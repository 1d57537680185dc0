/**
 * Parses a form that asks for an edited picture. Form fields are text, so they are converted to the values
 * that JSON would contain.
 *
 * @module
 */

import { ApiError } from "../api_error.ts";
import { checkJson } from "../json_bounds.ts";
import type { Limits } from "../limits.ts";

/** Fields that are strings in JSON too. */
const TEXTS: ReadonlySet<string> = new Set([
  "prompt",
  "negative_prompt",
  "model",
  "size",
  "response_format",
  "output_format",
  "user",
  "scheduler",
  "controlnet",
  "control_image",
  "seed",
  "quality",
  "background",
  "moderation",
  "input_fidelity",
  "style",
]);
/** Maximum number of fields of a form, including files. */
export const MOST_FIELDS = 64;

/** Maximum length of a field's name. */
const LONGEST_NAME = 100;

type JsonLimits = Pick<Limits, "maxJsonDepth" | "maxJsonValues">;

/** A parsed form. */
export interface EditForm {
  /** The fields, with the values that JSON would contain. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** The picture to edit. */
  readonly image: File;
  /** The mask. */
  readonly mask: File | undefined;
}

/**
 * Parses a form.
 *
 * @param form The form. A name may end in `[]`, which some clients use for lists.
 * @returns Its fields and files.
 * @param limits The limits of JSON in its fields.
 * @throws {ApiError} 400 if there is no picture, or more than one; 413 if there are too many fields, or a
 * field contains JSON beyond the limits.
 */
export function readEditForm(form: FormData, limits: JsonLimits): EditForm {
  const entries = [...form].map(([name, value]) => [name.replace(/\[\d*\]$/, ""), value] as const);
  if (entries.length > MOST_FIELDS) {
    throw new ApiError("too_large", `The form must have at most ${MOST_FIELDS} fields`);
  }
  const fields = new Map<string, unknown>();
  const files = new Map<string, File>();
  for (const [name, value] of entries) {
    if (name.length > LONGEST_NAME) {
      const param = name.slice(0, 60);
      throw new ApiError("invalid_value", `${param}…: is not a known field`, { param });
    }
    if (name === "__proto__") {
      throw new ApiError("invalid_value", `${name}: a field must not have this name`, { param: name });
    }
    if (name === "image" || name === "mask") {
      if (files.has(name)) {
        throw new ApiError(
          "invalid_value",
          `${name}: these models start from one picture, so send only one`,
          {
            param: name,
          },
        );
      }
      if (typeof value === "string") {
        throw new ApiError("invalid_value", `${name}: must be a file`, { param: name });
      }
      files.set(name, value);
      continue;
    }
    if (typeof value !== "string") {
      throw new ApiError("invalid_value", `${name.slice(0, 60)}: must be text`, {
        param: name.slice(0, 60),
      });
    }
    fields.set(name, TEXTS.has(name) ? value : jsonOf(value, limits));
  }
  const image = files.get("image");
  if (!image) throw new ApiError("invalid_value", "image: is missing", { param: "image" });
  return { fields: Object.fromEntries(fields), image, mask: files.get("mask") };
}

/** Parses a number, a boolean or a list; returns other text unchanged. */
function jsonOf(text: string, limits: JsonLimits): unknown {
  checkJson(text, limits);
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
