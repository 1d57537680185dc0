/**
 * Finds options that the user gave but that have no effect on the command.
 *
 * @module
 */

import type { Command } from "commander";
import type { GraphDocumentInput } from "../graph/document.ts";
import type { GenOptions } from "./gen_options.ts";
import type { StoreOptions } from "./store_options.ts";

/** A stage that options of a command can belong to. */
export type OptionStage = "encode" | "denoise" | "decode";

/** The options that affect only one stage, by the names of their values. */
const OPTIONS_OF_STAGE: Readonly<Record<OptionStage, readonly (keyof GenOptions)[]>> = {
  encode: ["negativePrompt", "cleanCaption", "maxSequenceLength", "saveEmbeds"],
  denoise: [
    "transformer",
    "secondTransformer",
    "secondTransformerFrom",
    "lora",
    "width",
    "height",
    "steps",
    "guidanceScale",
    "cfgScale",
    "guidanceInterval",
    "stepCache",
    "pagScale",
    "pagLayers",
    "pagAdaptiveScale",
    "controlnet",
    "controlImage",
    "controlnetScale",
    "controlnetInterval",
    "scheduler",
    "schedulerOption",
    "timesteps",
    "sigmas",
    "eta",
    "seed",
    "batchCount",
    "resolutionBinning",
    "generator",
    "initNoise",
    "image",
    "strength",
    "mask",
    "softMask",
    "saveLatents",
  ],
  decode: ["vae", "vaeTiling", "vaeTileSize", "vaeTileOverlap", "output", "outputFormat", "saveTensor"],
};

/** The name of each stage's work in errors and warnings. */
const WORK: Readonly<Record<OptionStage, string>> = {
  encode: "encodes nothing",
  denoise: "denoises nothing",
  decode: "decodes nothing",
};

/** Returns the stages that do not occur in a graph. */
export function skippedStages({ nodes }: GraphDocumentInput): OptionStage[] {
  const stages: readonly OptionStage[] = ["encode", "denoise", "decode"];
  const held = Object.values(nodes).map(({ stage }) => stage);
  return stages.filter((stage) => !held.includes(stage));
}

/**
 * Lists the options that the user gave without effect.
 *
 * @param command The command. Its options record where their values come from.
 * @param skipped The stages that the run skips although the command has options for them.
 * @param options Options of skipped stages that the run uses all the same.
 * @returns One sentence for each reason.
 */
export function ignoredOptions(
  command: Command,
  skipped: readonly OptionStage[] = [],
  { used = [] }: { readonly used?: readonly (keyof GenOptions)[] } = {},
): string[] {
  const options: Partial<GenOptions & StoreOptions> = command.opts();
  const { device, store, maxMemory, maxGpuMemory } = options;
  const given = (names: readonly string[]): string[] =>
    command.options.flatMap((option) => {
      const name = option.attributeName();
      if (!names.includes(name) || command.getOptionValueSource(name) !== "cli") return [];
      // --x and --no-x are two options that set the same value.
      const isThisForm = option.negate === (command.getOptionValue(name) === false);
      return isThisForm && option.long ? [option.long] : [];
    });
  const ignored = (names: readonly string[], reason: string): string[] => {
    const found = given(names);
    return found.length === 0
      ? []
      : [`${found.join(", ")} ${found.length === 1 ? "has" : "have"} no effect${reason}`];
  };
  return [
    ...skipped.flatMap((stage) => {
      const options = OPTIONS_OF_STAGE[stage].filter((name) => !used.includes(name));
      return ignored(options, ` because the run ${WORK[stage]}`);
    }),
    ...(maxMemory === undefined && maxGpuMemory === undefined
      ? ignored(["lowestPrecision"], " without --max-memory or --max-gpu-memory")
      : []),
    ...(device === "cpu" ? ignored(["maxGpuMemory"], ' with --device "cpu"') : []),
    ...(store === false ? ignored(["checkpointEvery"], " with --no-store") : []),
  ];
}
