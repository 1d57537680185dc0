// This module is browser compatible.

/**
 * A checkpoint in diffusers' folder layout: `model_index.json` and one folder per component.
 *
 * @module
 */

import type { JsonObject } from "../../artifacts/artifact.ts";
import type { Architecture } from "../architecture.ts";
import { listNames } from "../../errors/list_names.ts";
import { CheckpointError, MissingComponentError } from "./checkpoint_errors.ts";
import { chooseVariants, type Component, type FindWeights, readComponent } from "./component.ts";
import { parseLenientJson } from "./lenient_json.ts";
import { COMPONENT_NAMES, type ComponentName, parseModelIndex } from "./model_index.ts";
import { parseRunDefaults, type RunDefaults, runDefaultsFiles } from "./run_defaults.ts";
import type { CheckpointSource } from "./source.ts";
import { findWeightFiles } from "./weight_files.ts";
import { readTokenizerFiles, type TokenizerFiles } from "./tokenizer_files.ts";

/** The scheduler configuration of a checkpoint. */
export interface SchedulerConfig {
  /** The diffusers class: `DPMSolverMultistepScheduler`. */
  readonly className: string;
  /** The unmodified content of `scheduler_config.json`. Numbers can be infinite. */
  readonly config: JsonObject;
}

/** An open checkpoint. A missing component causes an error only when it is requested. */
export interface Checkpoint {
  /** Name for errors and reports. */
  readonly name: string;
  /** The architecture of the checkpoint. */
  readonly architecture: Architecture;
  /** The architecture's family to which it belongs: `alpha`. */
  readonly family: string;
  /** The checkpoint's components with weights. */
  readonly components: readonly ComponentName[];
  /** The components that its model index declares but that are not there. */
  readonly missing: readonly ComponentName[];
  /** Settings recommended by the checkpoint's author; empty without a `pixstage.json`. */
  readonly defaults: RunDefaults;
  /**
   * Opens a component.
   *
   * @throws {MissingComponentError} if the checkpoint lacks it.
   */
  component(name: ComponentName): Promise<Component>;
  /**
   * Reads the scheduler's configuration.
   *
   * @throws {MissingComponentError} if the checkpoint lacks it.
   */
  scheduler(): Promise<SchedulerConfig>;
  /**
   * Reads the tokenizer's files.
   *
   * @throws {MissingComponentError} if the checkpoint lacks them.
   */
  tokenizer(): Promise<TokenizerFiles>;
}

/** Options for opening a checkpoint. */
export interface OpenCheckpointOptions {
  /** Variant of the weights: `fp16`. The default is the plain weights. */
  readonly variant?: string | undefined;
  /**
   * Finds the weights of a component in its folder, instead of searching the source. Use it for sources that
   * initially contain only the small files. The function then also selects the variant and checks that it
   * exists.
   */
  readonly findWeights?: FindWeights | undefined;
}

const INDEX_FILE = "model_index.json";
/** Path of the scheduler's configuration in a checkpoint. */
export const SCHEDULER_FILE = "scheduler/scheduler_config.json";

/**
 * Opens a checkpoint. Reads only `model_index.json` and the recommended settings. Configurations and weights
 * are read on request.
 *
 * @param source The files of the checkpoint.
 * @param options The variant of the weights.
 * @returns The checkpoint.
 * @throws {CheckpointError} if `model_index.json` is missing.
 * @throws {UnsupportedArchitectureError} if no architecture supports its pipeline.
 * @throws {MissingVariantError} if no component has the variant.
 *
 * @example Usage
 * ```ts
 * import { openDiskSource } from "./disk_source.ts";
 * import { openCheckpoint } from "./checkpoint.ts";
 * const checkpoint = await openCheckpoint(await openDiskSource("models/pixstage-emoji"));
 * const transformer = await checkpoint.component("transformer");
 * const weights = await transformer.weights();
 * ```
 */
export async function openCheckpoint(
  source: CheckpointSource,
  options: OpenCheckpointOptions = {},
): Promise<Checkpoint> {
  if (!await source.exists(INDEX_FILE)) throw await noCheckpoint(source);
  const index = parseModelIndex(await source.readText(INDEX_FILE), `${source.name}/${INDEX_FILE}`);
  const defaults = await readDefaults(source, options.variant ?? "");
  const components = await presentComponents(source);
  const findWeights = options.findWeights ?? await weightsOf(source, components, options.variant ?? "");
  return {
    name: source.name,
    architecture: index.architecture,
    family: index.family,
    components,
    missing: COMPONENT_NAMES.filter((name) =>
      index.classes[name] !== undefined && !components.includes(name)
    ),
    defaults,
    component: (name) => readComponent(source, name, name, findWeights, index.classes[name] ?? null),
    scheduler: () => readScheduler(source, index.classes["scheduler"]),
    tokenizer: () => readTokenizerFiles(source, "tokenizer"),
  };
}

/** Returns the error for a folder without `model_index.json`. It says what the folder contains instead. */
async function noCheckpoint(source: CheckpointSource): Promise<CheckpointError> {
  const names = await source.list("");
  const holds = await Promise.all(names.map((name) => source.exists(`${name}/${INDEX_FILE}`)));
  const checkpoints = names.filter((_name, i) => holds[i]);
  const advice = names.includes("config.json")
    ? ". It is a single component: use it as a transformer or an autoencoder"
    : checkpoints.length > 0
    ? `. It is a folder of checkpoints: choose ${checkpoints.length > 1 ? "one of " : ""}${
      listNames(checkpoints)
    }`
    : "";
  return new CheckpointError(
    `Cannot open ${source.name} as a checkpoint: it must contain ${INDEX_FILE} and the folders of its components, ` +
      `but contains ${listNames(names)}${advice}`,
  );
}

/** Reads the recommended settings of a variant. */
async function readDefaults(source: CheckpointSource, variant: string): Promise<RunDefaults> {
  for (const file of runDefaultsFiles(variant)) {
    if (await source.exists(file)) {
      return parseRunDefaults(await source.readText(file), `${source.name}/${file}`);
    }
  }
  return {};
}

async function presentComponents(source: CheckpointSource): Promise<readonly ComponentName[]> {
  const present = await Promise.all(COMPONENT_NAMES.map((name) => source.exists(`${name}/config.json`)));
  return COMPONENT_NAMES.filter((_name, i) => present[i]);
}

/** Returns a function that finds weights in the source. */
async function weightsOf(
  source: CheckpointSource,
  components: readonly ComponentName[],
  variant: string,
): Promise<FindWeights> {
  const variants = await chooseVariants(source, components, variant);
  return (component, folder) =>
    findWeightFiles(source, { component, folder, variant: variants.get(component) ?? "" });
}

/**
 * Reads the configuration of a checkpoint's scheduler.
 *
 * @param source The checkpoint.
 * @param declaredClass Class declared by the model index. The default is the class in the configuration.
 * @returns The configuration.
 * @throws {MissingComponentError} if the checkpoint lacks it.
 * @throws {CheckpointError} if neither source names its class.
 */
export async function readScheduler(
  source: CheckpointSource,
  declaredClass?: string,
): Promise<SchedulerConfig> {
  const label = `${source.name}/${SCHEDULER_FILE}`;
  if (!await source.exists(SCHEDULER_FILE)) {
    throw new MissingComponentError(
      `Cannot open the scheduler of ${source.name} because ${SCHEDULER_FILE} is missing: add it, or name a scheduler`,
    );
  }
  const config = parseLenientJson(await source.readText(SCHEDULER_FILE), label);
  const className = declaredClass ?? config._class_name;
  if (typeof className !== "string") {
    throw new CheckpointError(`Cannot read ${label}: _class_name must name a class`);
  }
  return { className, config };
}

/**
 * Returns the configuration that a run's scheduler options override. It is the checkpoint's, or an empty one
 * if the checkpoint has no scheduler and the run names one; the defaults of that scheduler then apply.
 *
 * @param named The scheduler named by the run.
 * @param read Reads the checkpoint's scheduler.
 * @returns The configuration, and the class to use unless the run names another.
 * @throws {MissingComponentError} if the checkpoint has no scheduler and the run names none.
 */
export async function schedulerBeneath(
  named: string | undefined,
  read: () => Promise<SchedulerConfig>,
): Promise<SchedulerConfig> {
  try {
    return await read();
  } catch (error) {
    if (named === undefined || !(error instanceof MissingComponentError)) throw error;
    return { className: named, config: {} };
  }
}
