/**
 * Opens the quantized weights of a component from the user's cache, writing them there on first use.
 *
 * @module
 */

import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Component } from "../checkpoint/component.ts";
import { openDiskSource } from "../checkpoint/disk_source.ts";
import { fingerprint } from "../checkpoint/fingerprint.ts";
import { openSafetensorsWeights } from "../checkpoint/safetensors_weights.ts";
import type { Weights } from "../checkpoint/weights.ts";
import type { QuantizeOptions } from "../models.ts";
import type { RecipeName } from "../precision.ts";
import { markUsed, quantizedPath } from "./quantized_folder.ts";
import { QuantizedWeights } from "./quantized_weights.ts";
import { isQuantized, RECIPES } from "./recipe.ts";
import { writeQuantized } from "./write_quantized.ts";

/**
 * Opens the quantized weights of a component. They are written once, keyed by the component's fingerprint,
 * the modification time of its weight files, and the recipe. A changed checkpoint is quantized again even if
 * the change is too small to alter the fingerprint.
 *
 * @param component The component.
 * @param name The recipe by which its matrices are quantized.
 * @param folder The folder of quantized weights.
 * @param options Progress callback and abort signal.
 * @returns The weights.
 * @throws {FileError} if reading or writing fails.
 */
export async function openQuantized(
  component: Component,
  name: RecipeName,
  folder: string,
  options: QuantizeOptions = {},
): Promise<Weights> {
  const recipe = RECIPES[name];
  const weights = await component.weights();
  const identity = `${await fingerprint(component)}-${await timeOfWeights(component)}`;
  const path = quantizedPath(folder, `${identity}-${recipe.name}-v${recipe.version}`);
  await writeQuantized(path, weights, recipe, { component: identity, name: component.name }, options);
  await markUsed(path);
  const source = await openDiskSource(dirname(path));
  const stored = await openSafetensorsWeights(source, `${component.name} ${recipe.name}`, {
    paths: ["model.safetensors"],
  });
  const shapes = new Map(
    weights.names.map((name) => [name, weights.locate(name).shape] as const)
      .filter(([name, shape]) => isQuantized(name, shape)),
  );
  return new QuantizedWeights(stored, recipe, shapes);
}

/**
 * Returns the modification time of the newest weight file in milliseconds since 1970, or 0 if there are no
 * files.
 */
async function timeOfWeights({ source, weightFiles }: Component): Promise<number> {
  const { locate } = source;
  if (!locate) return 0;
  const { paths } = await weightFiles();
  const times = await Promise.all(paths.map(async (path) => {
    const { folder, file } = await locate.call(source, path);
    return (await stat(join(folder, file))).mtimeMs;
  }));
  return Math.round(Math.max(0, ...times));
}
