/**
 * Builds the command line that makes a picture.
 *
 * @module
 */

import { isRecord } from "./graph.ts";

/** The options of `gen`, by request field, with the value for which the option is omitted. */
const OPTIONS: readonly (readonly [field: string, option: string, usual?: unknown])[] = [
  ["model", "--model"],
  ["variant", "--variant"],
  ["transformer", "--transformer"],
  ["secondTransformer", "--second-transformer"],
  ["secondTransformerFrom", "--second-transformer-from"],
  ["vae", "--vae"],
  ["width", "--width"],
  ["height", "--height"],
  ["steps", "--steps"],
  ["timesteps", "--timesteps"],
  ["sigmas", "--sigmas"],
  ["guidanceScale", "--guidance-scale"],
  ["guidanceInterval", "--guidance-interval"],
  ["stepCache", "--step-cache"],
  ["controlnet", "--controlnet"],
  ["controlnetScale", "--controlnet-scale"],
  ["controlnetInterval", "--controlnet-interval"],
  ["pagScale", "--pag-scale"],
  ["pagAdaptiveScale", "--pag-adaptive-scale"],
  ["strength", "--strength"],
  ["scheduler", "--scheduler"],
  ["eta", "--eta"],
  ["seeds", "--seed"],
  ["generator", "--generator", "torch-cpu"],
  ["maxSequenceLength", "--max-sequence-length"],
  ["tiling", "--vae-tiling", "auto"],
  ["tileSize", "--vae-tile-size", 512],
  ["tileOverlap", "--vae-tile-overlap", 128],
];

/**
 * Fields that name pictures in the store, with their options and the files that the command saves them to.
 */
const PICTURES: readonly (readonly [field: string, option: string, file: string])[] = [
  ["image", "--image", "source.png"],
  ["mask", "--mask", "mask.png"],
  ["controlImage", "--control-image", "control.png"],
];

/**
 * Returns the command that makes the picture of a request. It first downloads the pictures that the request
 * names.
 *
 * @param request The request.
 * @param urlOf Returns the URL of an artifact's picture.
 */
export function genCommand(
  request: Readonly<Record<string, unknown>>,
  urlOf: (artifact: string) => string,
): string {
  const { prompts, negativePrompt = [], pagLayers = [], schedulerOptions, precision, loras } = request;
  const words = ["deno", "task", "gen", ...(Array.isArray(prompts) ? prompts.map(String) : [])];
  for (const text of [negativePrompt].flat()) words.push(`--negative-prompt=${String(text)}`);
  for (const layers of [pagLayers].flat()) words.push(`--pag-layers=${String(layers)}`);
  for (const [field, option, usual] of OPTIONS) {
    const value = request[field];
    if (value !== undefined && value !== usual) words.push(`${option}=${String(value)}`);
  }
  for (const lora of Array.isArray(loras) ? loras.filter(isRecord) : []) {
    words.push(`--lora=${String(lora["name"])}:${String(lora["weight"] ?? 1)}`);
  }
  const fetches: string[] = [];
  for (const [field, option, file] of PICTURES) {
    const artifact = request[field];
    if (typeof artifact !== "string") continue;
    fetches.push(["curl", "-fsS", "-o", file, urlOf(artifact)].map(quoted).join(" "));
    words.push(`${option}=${file}`);
  }
  if (request["softMask"] === true) words.push("--soft-mask");
  for (const [name, value] of Object.entries(isRecord(schedulerOptions) ? schedulerOptions : {})) {
    words.push("--scheduler-option", `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  }
  if (isRecord(precision)) {
    words.push("--precision", Object.entries(precision).map(([part, name]) => `${part}=${name}`).join());
  }
  if (request["cleanCaption"] === false) words.push("--no-clean-caption");
  if (request["resolutionBinning"] === false) words.push("--no-resolution-binning");
  return [...fetches, words.map(quoted).join(" ")].join(" && ");
}

/** Returns the command that makes a picture file again. */
export function rerunCommand(file: string): string {
  return ["deno", "task", "rerun", file].map(quoted).join(" ");
}

/** Quotes a word for a POSIX shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
