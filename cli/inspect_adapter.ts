/**
 * Describes LoRA adapters.
 *
 * @module
 */

import type { JsonObject } from "../artifacts/artifact.ts";
import { PixstageError } from "../errors/pixstage_error.ts";
import { openLocalAdapter } from "../hub/local_adapters.ts";
import type { LoraAdapter } from "../models/lora/adapter.ts";

/**
 * Describes a LoRA adapter from the header of its file.
 *
 * @param path A file or a folder.
 * @returns Its layers, ranks and sizes; `undefined` if it is not a LoRA that pixstage can use.
 */
export async function inspectAdapter(path: string): Promise<JsonObject | undefined> {
  let adapter: LoraAdapter;
  try {
    adapter = await openLocalAdapter(path);
  } catch (error) {
    if (error instanceof PixstageError && error.fault !== "bug") return undefined;
    throw error;
  }
  const { name, layers, weights, settings } = adapter;
  const located = weights.names.map((tensor) => weights.locate(tensor));
  const ranks = layers.flatMap(({ tensors: { down } }) =>
    down === undefined ? [] : weights.locate(down).shape[0]!
  );
  const alphas = layers.flatMap(({ alpha }) => alpha === undefined ? [] : alpha);
  const said = settings ? "in its configuration" : distinct(alphas);
  return {
    what: "lora",
    name,
    layers: layers.length,
    ranks: distinct(ranks),
    alphas: said === "" ? "none, so the scale is 1" : said,
    parameters: located.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
    bytes: located.reduce((sum, { length }) => sum + length, 0),
    types: [...new Set(located.map(({ dtype }) => dtype))].join(", "),
    first: layers.slice(0, 3).map((layer) => layer.name).join(", "),
  };
}

function distinct(values: readonly number[]): string {
  return [...new Set(values)].sort((a, b) => a - b).join(", ");
}
