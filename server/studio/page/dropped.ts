/// <reference lib="dom" />
/**
 * Fills the form with the settings of a finished picture or of a picture file. The page itself reads the
 * file.
 *
 * @module
 */

import { readPngChunks } from "../../../images/png_chunks.ts";
import { decodePngTexts } from "../../../images/png_text.ts";
import { attempt } from "./attempt.ts";
import type { FurtherSettings } from "./further_settings.ts";
import { isRecord, readGraph } from "./graph.ts";
import { type Settings, settingsOf, settingsOfPicture } from "./settings.ts";
import { findStored } from "./source.ts";
import { change, chooseModel, chosenModel, fittingLoras, type Form, form, notice, offered } from "./state.ts";
import type { Picture } from "./types.ts";

/** Maximum size of a file to read, in bytes. */
const MAX_BYTES = 1 << 28;

/**
 * Reads the settings in a picture file.
 *
 * @returns The settings; `undefined` if the file is not a PNG file.
 * @throws if pixstage did not write the PNG file.
 */
export async function settingsInFile(file: File): Promise<Settings | undefined> {
  if (file.size > MAX_BYTES) throw new Error("it is larger than 256 MB");
  const bytes = new Uint8Array(await file.arrayBuffer());
  return bytes[0] === 0x89 && bytes[1] === 0x50 ? readSettings(bytes) : undefined;
}

/** Fills the form with the settings of a file. */
export async function restore(settings: Settings, name: string): Promise<void> {
  await attempt(async () => {
    const missing = await fillForm(settings);
    notice.value = `The form now has the settings of ${name}.${missing}`;
  });
}

/** Fills the form with the settings of a picture. */
export async function reuse(picture: Picture): Promise<void> {
  const settings = settingsOfPicture(picture);
  if (settings) await restore(settings, "this picture");
}

/** Fills the form. Returns a sentence about the settings that the form has no fields for. */
async function fillForm(settings: Settings): Promise<string> {
  const { model, prompt = "", negativePrompt, width, height, steps, guidance, scheduler, seed } = settings;
  const { pictures, missing } = await findPictures(settings.further);
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
    ...pictures,
    ...furtherFields(settings.further, form.value.model),
  });
  const begun = settings.begun
    ? ` Its first ${settings.begun.steps} steps used other settings, for which the form has no fields.`
    : "";
  const second = settings.secondTransformer === undefined
    ? ""
    : " The form has no field for its second transformer.";
  const rest = missing + second + begun;
  return isServed ? rest : ` This server has no model "${model}", so the form keeps ${kept}.${rest}`;
}

/** Returns the form fields that do not depend on the store. */
function furtherFields(
  { strength, controlnet = "", controlScale = 1, controlled, pag = 0, guided, stepCache = 0, loras }:
    FurtherSettings,
  model: string,
): Partial<Form> {
  const fitting = fittingLoras(model);
  return {
    strength: strength ?? null,
    loras: loras.filter(({ name }) => fitting.some(({ id }) => id === name)),
    controlnet: offered.value.controlnets.includes(controlnet) ? controlnet : "",
    controlScale,
    controlled: controlled ?? [0, 1],
    pag,
    guided: guided ?? [0, 1],
    stepCache,
  };
}

/**
 * Finds the pictures that settings name, and returns those in the store, with a sentence about missing ones.
 */
async function findPictures(
  { image, mask, softMask = false, controlImage, isBound }: FurtherSettings,
): Promise<{ pictures: Pick<Form, "source" | "mask" | "control">; missing: string }> {
  const [source = null, masking, control = null] = await Promise.all([
    image === undefined ? undefined : findStored(image, "the earlier picture"),
    mask === undefined ? undefined : findStored(mask, "mask"),
    controlImage === undefined ? undefined : findStored(controlImage, "the earlier picture"),
  ]);
  const isMissing = isBound || (image !== undefined && !source) || (mask !== undefined && !masking) ||
    (controlImage !== undefined && !control);
  return {
    pictures: {
      source,
      mask: source && masking ? { artifact: masking.artifact, isSoft: softMask } : null,
      control,
    },
    missing: isMissing
      ? " This server lacks some of the pictures that it was made from: choose them again."
      : "",
  };
}

/**
 * Reads the settings in a PNG file.
 *
 * @throws if pixstage did not write it.
 */
function readSettings(bytes: Uint8Array): Settings {
  const { pixstage: text, parameters } = decodePngTexts(readPngChunks(bytes));
  if (text === undefined) {
    const by = parameters !== undefined ? " because another program wrote its parameters" : "";
    throw new Error(`it contains no pixstage settings${by}`);
  }
  const provenance = parse(text);
  const graph = isRecord(provenance) ? readGraph(provenance["graph"]) : undefined;
  if (!isRecord(provenance) || !graph) throw new Error("its settings are damaged");
  const { output, image } = provenance;
  const settings = settingsOf(graph, { output, image: typeof image === "number" ? image : 0 });
  if (!settings) throw new Error("it was not made by denoising, so there is nothing to restore");
  return { ...settings, ...resolved(parameters ?? "", settings) };
}

/** Fills in settings that the graph leaves to the model. They come from the text that other programs read. */
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
