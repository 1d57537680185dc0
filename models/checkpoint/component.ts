// This module is browser compatible.

/**
 * One component of a checkpoint: the transformer, the text encoder or the VAE.
 *
 * @module
 */

import type { JsonObject } from "../../artifacts/artifact.ts";
import { CheckpointError, MissingComponentError, MissingVariantError } from "./checkpoint_errors.ts";
import { parseLenientJson } from "./lenient_json.ts";
import { checkClass, type ComponentName, componentOfClass } from "./model_index.ts";
import { openSafetensorsWeights } from "./safetensors_weights.ts";
import { type CheckpointSource, joinPath } from "./source.ts";
import { findWeightFiles, variantsOf, type WeightFiles } from "./weight_files.ts";
import type { Weights } from "./weights.ts";

/** One component of a checkpoint. */
export interface Component {
  /** Name for errors and reports: `tiny-alpha-512/transformer`. */
  readonly name: string;
  /** The diffusers or transformers class: `PixArtTransformer2DModel`. */
  readonly className: string;
  /** The unmodified content of its `config.json`. */
  readonly config: JsonObject;
  /** The source of its files. */
  readonly source: CheckpointSource;
  /** The component's folder in `source`; `""` for the root. */
  readonly folder: string;
  /** Finds the files that contain its weights, downloading them if necessary. Reads no more than an index. */
  weightFiles(): Promise<WeightFiles>;
  /** Opens its weights, downloading them if necessary. Reads no more than the headers of the files. */
  weights(): Promise<Weights>;
}

/** Finds the files that contain the weights of a component in a folder, and makes them readable. */
export type FindWeights = (component: ComponentName, folder: string) => Promise<WeightFiles>;

/** Options for opening one component. */
export interface OpenComponentOptions {
  /**
   * The component to open. In a whole checkpoint, it selects the folder.
   *
   * @default {"vae"}
   */
  readonly component?: ComponentName | undefined;
  /** Variant of the weights: `fp16`. The default is the plain weights. */
  readonly variant?: string | undefined;
  /** Finds its weights, instead of searching the source. */
  readonly findWeights?: FindWeights | undefined;
}

/**
 * Opens one component: a folder with `config.json` and safetensors files, or a component of a whole
 * checkpoint.
 *
 * @param source The component's folder, or a checkpoint.
 * @param options The component, and the variant of its weights.
 * @returns The component.
 * @throws {MissingComponentError} if the component is missing.
 * @throws {UnsupportedArchitectureError} if its class is not supported.
 *
 * @example Usage
 * ```ts
 * import { openDiskSource } from "./disk_source.ts";
 * import { openComponent } from "./component.ts";
 * const vae = await openComponent(await openDiskSource("models/pixstage-emoji/vae"));
 * console.assert(vae.className === "AutoencoderKL");
 * ```
 */
export async function openComponent(
  source: CheckpointSource,
  options: OpenComponentOptions = {},
): Promise<Component> {
  const { component = "vae", variant = "" } = options;
  const { findWeights = (component, folder) => findWeightFiles(source, { component, folder, variant }) } =
    options;
  const folder = await source.exists("config.json") ? "" : component;
  return await readComponent(source, component, folder, findWeights);
}

/**
 * Reads a component's configuration.
 *
 * @param source The checkpoint.
 * @param component The component.
 * @param folder Its folder; `""` for the root.
 * @param findWeights Finds its weights.
 * @param declaredClass Class declared by the model index; `null` if the index declares the component absent.
 *   The default is the class in the configuration.
 * @returns The component.
 * @throws {MissingComponentError} if the component is missing.
 */
export async function readComponent(
  source: CheckpointSource,
  component: ComponentName,
  folder: string,
  findWeights: FindWeights,
  declaredClass?: string | null,
): Promise<Component> {
  const path = joinPath(folder, "config.json");
  if (!await source.exists(path)) {
    throw declaredClass === null ? leftOut(source, component) : missing(source, component, path);
  }
  const name = folder === "" ? source.name : `${source.name}/${folder}`;
  const config = parseLenientJson(await source.readText(path), `${source.name}/${path}`);
  const className = declaredClass ?? configuredClass(config, `${source.name}/${path}`);
  checkClass(component, className, name);
  const weightFiles = () => findWeights(component, folder);
  const weights = async () => openSafetensorsWeights(source, name, await weightFiles());
  return { name, className, config, source, folder, weightFiles, weights };
}

/**
 * Identifies the component of a source that contains only one, by the class in its `config.json`.
 *
 * @param source The source.
 * @returns The component; `undefined` if the source has no `config.json`, or its class is not supported.
 */
export async function loneComponent(
  source: Pick<CheckpointSource, "name" | "exists" | "readText">,
): Promise<ComponentName | undefined> {
  if (!await source.exists("config.json")) return undefined;
  try {
    const path = `${source.name}/config.json`;
    return componentOfClass(
      configuredClass(parseLenientJson(await source.readText("config.json"), path), path),
    );
  } catch (error) {
    if (error instanceof CheckpointError) return undefined;
    throw error;
  }
}

/**
 * Chooses the variant of each component as diffusers does: a component that lacks the variant uses its plain
 * weights, provided that another component has the variant.
 *
 * @param source The checkpoint.
 * @param components The components that it contains.
 * @param variant The variant; `""` for the plain weights.
 * @returns The variant of each component.
 * @throws {MissingVariantError} if no component has it; lists the variants of each.
 */
export async function chooseVariants(
  source: Pick<CheckpointSource, "name" | "list">,
  components: readonly ComponentName[],
  variant: string,
): Promise<ReadonlyMap<ComponentName, string>> {
  if (variant === "" || components.length === 0) return new Map(components.map((name) => [name, variant]));
  const found = await Promise.all(components.map(async (name) => variantsOf(await source.list(name))));
  if (!found.some((variants) => variants.includes(variant))) {
    const lists = components.map((name, i) =>
      `${name}: ${found[i]?.map((other) => other || "plain").join(", ") || "none"}`
    );
    throw new MissingVariantError(
      `Cannot find the variant ${variant} in ${source.name}: available variants are ${lists.join("; ")}`,
      { details: { field: "variant" } },
    );
  }
  return new Map(components.map((name, i) => [name, found[i]?.includes(variant) ? variant : ""]));
}

function missing(source: CheckpointSource, component: ComponentName, path: string): MissingComponentError {
  return new MissingComponentError(
    `Cannot open the ${component} of ${source.name} because ${path} is missing: the folder ${component} must contain ` +
      "config.json and safetensors files",
  );
}

/**
 * Advice for a missing component. Some checkpoints are published without components that they share with
 * others.
 */
const INSTEAD: Readonly<Record<ComponentName, string>> = {
  transformer: "Denoise with a checkpoint that has one",
  text_encoder: "Pass embeddings from a checkpoint that has one",
  vae: "Decode with the autoencoder of another checkpoint",
  controlnet: "ControlNets are published separately",
};

function leftOut(source: CheckpointSource, component: ComponentName): MissingComponentError {
  return new MissingComponentError(
    `Cannot open the ${component} of ${source.name} because its model_index.json declares it absent. ` +
      INSTEAD[component],
  );
}

/** Reads the class, which diffusers writes to `_class_name` and transformers to `architectures`. */
function configuredClass(config: JsonObject, path: string): string {
  const { _class_name: name, architectures } = config;
  const className = name ?? (Array.isArray(architectures) ? architectures[0] : undefined);
  if (typeof className === "string") return className;
  throw new CheckpointError(`Cannot read ${path}: _class_name or architectures must name a class`);
}
