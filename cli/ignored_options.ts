/**
 * Options that were given and have no effect on what a command does.
 *
 * @module
 */

import type { Command } from "commander";
import type { GraphDocumentInput } from "../graph/document.ts";
import type { GenOptions } from "./gen_options.ts";
import type { StoreOptions } from "./store_options.ts";

/** The stages that the options of a command may be for. */
export type OptionStage = "encode" | "denoise" | "decode";

/** The options that concern one stage alone, by the names of their values. */
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

/** How errors and warnings call the work of a stage. */
const WORK: Readonly<Record<OptionStage, string>> = {
  encode: "encodes nothing",
  denoise: "denoises nothing",
  decode: "decodes nothing",
};

/** The stages that a graph leaves out. */
export function skippedStages({ nodes }: GraphDocumentInput): OptionStage[] {
  const stages: readonly OptionStage[] = ["encode", "denoise", "decode"];
  const held = Object.values(nodes).map(({ stage }) => stage);
  return stages.filter((stage) => !held.includes(stage));
}

/**
 * Says which options that the user gave have no effect.
 *
 * @param command The command, whose options tell where their values are from.
 * @param skipped The stages that the run leaves out although the command has options for them.
 * @returns A sentence for each reason.
 */
export function ignoredOptions(command: Command, skipped: readonly OptionStage[] = []): string[] {
  const options: Partial<GenOptions & StoreOptions> = command.opts();
  const { device, store, maxMemory, maxGpuMemory } = options;
  const given = (names: readonly string[]): string[] =>
    command.options.flatMap((option) => {
      const name = option.attributeName();
      if (!names.includes(name) || command.getOptionValueSource(name) !== "cli") return [];
      // Both forms of an option, --x and --no-x, set one value.
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
    ...skipped.flatMap((stage) => ignored(OPTIONS_OF_STAGE[stage], `, as the run ${WORK[stage]}`)),
    ...(maxMemory === undefined && maxGpuMemory === undefined
      ? ignored(["lowestPrecision"], " without --max-memory or --max-gpu-memory")
      : []),
    ...(device === "cpu" ? ignored(["maxGpuMemory"], ' with --device "cpu"') : []),
    ...(store === false ? ignored(["checkpointEvery"], " with --no-store") : []),
  ];
}
