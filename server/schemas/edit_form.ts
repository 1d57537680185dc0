/**
 * A form that asks for a picture to be edited: fields are texts there, and become what JSON would hold.
 *
 * @module
 */

import { ApiError } from "../api_error.ts";

/** Fields that are texts in JSON too. */
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
/** Fields of a form, files among them. */
const MOST_FIELDS = 64;

/** A form, read. */
export interface EditForm {
  /** The fields, as JSON would hold them. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** The picture. */
  readonly image: File;
  /** The mask. */
  readonly mask: File | undefined;
}

/**
 * Reads a form.
 *
 * @param form The form; a name may end in `[]`, as clients write lists.
 * @returns Its fields and files.
 * @throws {ApiError} 400 if there is no picture, or there are several.
 */
export function readEditForm(form: FormData): EditForm {
  const entries = [...form].map(([name, value]) => [name.replace(/\[\d*\]$/, ""), value] as const);
  if (entries.length > MOST_FIELDS) {
    throw new ApiError("too_large", `The form may have ${MOST_FIELDS} fields at most`);
  }
  const fields = new Map<string, unknown>();
  const files = new Map<string, File>();
  for (const [name, value] of entries) {
    if (name === "__proto__") {
      throw new ApiError("invalid_value", `${name}: no field can have this name`, { param: name });
    }
    if (name === "image" || name === "mask") {
      if (files.has(name)) {
        throw new ApiError("invalid_value", `${name}: these models begin from one picture alone`, {
          param: name,
        });
      }
      if (typeof value === "string") {
        throw new ApiError("invalid_value", `${name}: must be a file`, { param: name });
      }
      files.set(name, value);
      continue;
    }
    if (typeof value !== "string") {
      throw new ApiError("invalid_value", `${name.slice(0, 60)}: must be a text`, {
        param: name.slice(0, 60),
      });
    }
    fields.set(name, TEXTS.has(name) ? value : jsonOf(value));
  }
  const image = files.get("image");
  if (!image) throw new ApiError("invalid_value", "image: a picture is needed", { param: "image" });
  return { fields: Object.fromEntries(fields), image, mask: files.get("mask") };
}

/** A number, a truth value or a list where the text is one, else the text. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
