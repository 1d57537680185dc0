/**
 * Parses LoRA tags in prompts, in the syntax of AUTOMATIC1111's web UI: `<lora:NAME:WEIGHT>`.
 *
 * @module
 */

import { ApiError } from "../api_error.ts";

const TAG = /<(lora|lyco|hypernet):([^<>]*)>/g;

/** A prompt without its tags, and the adapters that they name. */
export interface TaggedPrompt {
  /** The prompt. */
  readonly prompt: string;
  /** The adapters, each with its weight. */
  readonly loras: readonly { readonly name: string; readonly weight: number }[];
}

/**
 * Extracts the LoRA tags from a prompt.
 *
 * @param prompt The prompt. If a tag has two weights, the second applies, which is the denoiser's.
 * @param served Names of the served adapters. A tag may omit the part of a name up to its last slash, because
 * the web UI names adapters by their file names.
 * @returns The prompt without tags, and the adapters.
 * @throws {ApiError} 400 if a tag is malformed or of another kind.
 */
export function readLoraTags(prompt: string, served: readonly string[]): TaggedPrompt {
  const refuse = (problem: string): never => {
    throw new ApiError("invalid_value", `prompt: ${problem}`, { param: "prompt" });
  };
  const loras: { name: string; weight: number }[] = [];
  const rest = prompt.replaceAll(TAG, (tag, kind: string, content: string) => {
    const shown = JSON.stringify(tag.slice(0, 100));
    if (kind !== "lora") return refuse(`${shown} is not supported: use <lora:NAME:WEIGHT>`);
    const [name = "", ...parts] = content.split(":").map((part) => part.trim());
    const weights = parts.filter((part) => !part.includes("=")).map(Number);
    const named = parts.map((part) => /^unet=(.*)$/.exec(part)?.[1]).find((value) => value !== undefined);
    const weight = named === undefined ? weights[1] ?? weights[0] ?? 1 : Number(named);
    if (name === "" || !Number.isFinite(weight)) return refuse(`${shown} must be <lora:NAME:WEIGHT>`);
    loras.push({ name: fullName(name, served), weight });
    return "";
  });
  return { prompt: loras.length === 0 ? prompt : rest.replaceAll(/ {2,}/g, " ").trim(), loras };
}

/** Returns the full name of a served adapter, or the name as given. */
function fullName(name: string, served: readonly string[]): string {
  if (served.includes(name)) return name;
  const ending = served.filter((full) => full.endsWith(`/${name}`));
  return ending.length === 1 ? ending[0]! : name;
}
