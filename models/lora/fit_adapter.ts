// This module is browser compatible.

/**
 * Matches an adapter to its model, using only names and shapes.
 *
 * @module
 */

import { listNames } from "../../errors/list_names.ts";
import type { WeightLocation, Weights } from "../checkpoint/weights.ts";
import type { AdapterLayer, LoraAdapter } from "./adapter.ts";
import { AdapterError } from "./adapter_error.ts";
import type { LowRankBranch } from "./branch.ts";

/** An adapter that has been matched to its model. */
export interface FittedAdapter {
  /** The adapter. */
  readonly adapter: LoraAdapter;
  /** The adapter's branches, keyed and sorted by the model's module names. */
  readonly branches: ReadonlyMap<string, LowRankBranch>;
  /** Whether neither its file nor a configuration specifies alpha. Its scale is then 1. */
  readonly isUnscaled: boolean;
}

/** Supported element types of an adapter's matrices. */
const FLOATS: ReadonlySet<string> = new Set(["float32", "float16", "bfloat16"]);

/**
 * Finds the branch of each layer that an adapter changes.
 *
 * @param adapter The adapter.
 * @param model The model's weights as stored.
 * @returns The adapter with its branches.
 * @throws {AdapterError} if the model lacks a layer, or if a matrix is missing or has the wrong shape or
 *   type.
 */
export function fitAdapter(adapter: LoraAdapter, model: Weights): FittedAdapter {
  const layers = modelLayers(model);
  const flat = new Map(Array.from(layers.keys(), (module) => [module.replaceAll(".", "_"), module]));
  const found = adapter.layers.map((layer) => ({
    layer,
    module: layer.isFlat ? flat.get(layer.name) : layers.has(layer.name) ? layer.name : undefined,
  }));
  const unknown = found.filter(({ module }) => module === undefined).map(({ layer }) => layer.name);
  if (unknown.length > 0) {
    throw new AdapterError(
      `Cannot apply the LoRA ${adapter.name} to ${model.component} because the model lacks ${unknown.length} of ` +
        `${found.length} layers, ${listNames(unknown)}. The LoRA was trained for another model`,
    );
  }
  const branches = found.map(({ layer, module }) => {
    const shape = layers.get(module!)!;
    return [
      module!,
      branchOf(adapter, layer, { component: model.component, module: module!, shape }),
    ] as const;
  });
  return {
    adapter,
    branches: new Map(branches.sort(([a], [b]) => a < b ? -1 : 1)),
    isUnscaled: !adapter.settings && adapter.layers.every(({ alpha }) => alpha === undefined),
  };
}

/** Returns the model's linear layers and convolutions with the shapes of their weights. */
function modelLayers(model: Weights): ReadonlyMap<string, readonly number[]> {
  const named = model.names.filter((name) => name.endsWith(".weight"))
    .map((name) => [name.slice(0, -".weight".length), model.locate(name).shape] as const);
  return new Map(named.filter(([, shape]) => shape.length === 2 || shape.length === 4));
}

/** A layer of the model. */
interface ModelLayer {
  readonly component: string;
  readonly module: string;
  /** Shape of its weight. */
  readonly shape: readonly number[];
}

function branchOf(adapter: LoraAdapter, layer: AdapterLayer, of: ModelLayer): LowRankBranch {
  const matrix = (part: "down" | "up"): WeightLocation => {
    const name = layer.tensors[part];
    if (name !== undefined) return adapter.weights.locate(name);
    throw new AdapterError(
      `Cannot use ${adapter.name} as a LoRA because the layer ${layer.name} must have two matrices: ` +
        `its ${part === "down" ? "lora_A (lora_down)" : "lora_B (lora_up)"} is missing`,
    );
  };
  const [down, up] = [matrix("down"), matrix("up")];
  const [output = 0, ...input] = of.shape;
  const rank = down.shape[0] ?? 0;
  const ones = of.shape.length === 4 ? [1, 1] : [];
  requireShape(adapter, down, [rank, ...input], of);
  requireShape(adapter, up, [output, rank, ...ones], of);
  for (const { name, dtype } of [down, up]) {
    if (FLOATS.has(dtype)) continue;
    throw new AdapterError(
      `Cannot use ${adapter.name} as a LoRA because ${name} must be float32, float16 or bfloat16, but is ${dtype}`,
    );
  }
  const settings = adapter.settings?.(of.module);
  if (settings && settings.rank !== rank) {
    throw new AdapterError(
      `Cannot use ${adapter.name} as a LoRA because ${down.name} has rank ${rank}, but its configuration ` +
        `says ${settings.rank}`,
    );
  }
  // Like diffusers, assume that alpha equals the rank if it is not specified.
  const scale = layer.alpha !== undefined ? layer.alpha / rank : settings?.scale ?? 1;
  return { down, up, scale };
}

function requireShape(
  adapter: LoraAdapter,
  { name, shape }: WeightLocation,
  wanted: readonly number[],
  { component, module, shape: own }: ModelLayer,
): void {
  if (wanted[0] !== 0 && String(shape) === String(wanted)) return;
  throw new AdapterError(
    `Cannot apply the LoRA ${adapter.name} to ${component}: the weight of ${module} is [${own}], so ${name} must be ` +
      `[${wanted}], but it is [${shape}]`,
  );
}
