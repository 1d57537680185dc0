/// <reference lib="dom" />
/**
 * Restores the settings in a picture file. The page reads the file itself and sends it nowhere.
 *
 * @module
 */

import { readPngChunks } from "../../../images/png_chunks.ts";
import { decodePngText } from "../../../images/png_text.ts";
import { isRecord, readGraph } from "./graph.ts";
import { type Settings, settingsOf, settingsOfPicture } from "./settings.ts";
import { change, chooseModel, chosenModel, fault, form, notice, offered } from "./state.ts";
import type { Picture } from "./types.ts";

/** The largest file that is read. */
const MAX_BYTES = 1 << 28;

/** Fills the form with the settings in a picture file, or shows why it cannot. */
export async function restore(file: File): Promise<void> {
  fault.value = "";
  notice.value = "";
  try {
    if (file.size > MAX_BYTES) throw new Error("it is larger than 256 MB");
    const settings = readSettings(new Uint8Array(await file.arrayBuffer()));
    const missing = fillForm(settings);
    notice.value = `The form now has the settings of ${file.name}.${missing}`;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    fault.value = `Cannot take settings from ${file.name}: ${reason}`;
  }
}

/** Fills the form with the settings of a picture. */
export function reuse(picture: Picture): void {
  const settings = settingsOfPicture(picture);
  if (!settings) return;
  fault.value = "";
  notice.value = `The form now has the settings of this picture.${fillForm(settings)}`;
}

/** Fills the form. Returns a sentence about the settings that the form cannot hold. */
function fillForm(settings: Settings): string {
  const { model, prompt = "", negativePrompt, width, height, steps, guidance, scheduler, seed } = settings;
  const isServed = offered.value.models.some(({ id }) => id === model);
  const kept = form.value.model;
  chooseModel(isServed ? model ?? kept : kept);
  const own = chosenModel.value?.defaults;
  const before = form.value;
  const known = offered.value.schedulers.find(({ name, short_names: names }) =>
    name === scheduler || names.includes(scheduler ?? "")
  );
  change({
    prompt,
    negativePrompt: negativePrompt ?? own?.negative_prompt ?? "",
    width: width ?? before.width,
    height: height ?? before.height,
    steps: steps ?? before.steps,
    guidance: guidance ?? before.guidance,
    scheduler: known && known.name !== own?.scheduler ? known.name : "",
    seed: seed ?? "",
    count: 1,
  });
  const begun = settings.begun
    ? ` Its first ${settings.begun.steps} steps used other settings, which the form cannot hold.`
    : "";
  return isServed ? begun : ` This server has no model "${model}": the form keeps ${kept}.${begun}`;
}

/**
 * Reads the settings in a PNG file.
 *
 * @throws if the file is not a PNG, or was not written by pixstage.
 */
function readSettings(bytes: Uint8Array): Settings {
  if (bytes[0] !== 0x89 || bytes[1] !== 0x50) throw new Error("it is not a PNG file");
  const texts = new Map(readPngChunks(bytes).map(decodePngText).filter((text) => text !== undefined));
  const text = texts.get("pixstage");
  if (text === undefined) {
    const by = texts.has("parameters") ? ": another program wrote its parameters" : "";
    throw new Error(`it carries no settings of pixstage${by}`);
  }
  const provenance = parse(text);
  const graph = isRecord(provenance) ? readGraph(provenance["graph"]) : undefined;
  if (!isRecord(provenance) || !graph) throw new Error("its settings are damaged");
  const { output, image } = provenance;
  const settings = settingsOf(graph, { output, image: typeof image === "number" ? image : 0 });
  if (!settings) throw new Error("it was not denoised, so there is nothing to restore");
  return { ...settings, ...resolved(texts.get("parameters") ?? "", settings) };
}

/** Settings that the graph leaves to the model, from the text that other programs read. */
function resolved(parameters: string, settings: Settings): Partial<Settings> {
  const line = parameters.slice(parameters.lastIndexOf("\nSteps: ") + 1);
  const read = (name: string): string | undefined => new RegExp(`(?:^|, )${name}: ([^,]+)`).exec(line)?.[1];
  const number = (name: string): number | undefined => {
    const value = read(name);
    return value === undefined ? undefined : Number(value);
  };
  const [, width, height] = /^(\d+)x(\d+)$/.exec(read("Size") ?? "") ?? [];
  return {
    steps: settings.steps ?? number("Steps"),
    guidance: settings.guidance ?? number("CFG scale"),
    scheduler: settings.scheduler ?? read("Sampler"),
    width: settings.width ?? (width === undefined ? undefined : Number(width)),
    height: settings.height ?? (height === undefined ? undefined : Number(height)),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
