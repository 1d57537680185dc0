// This module is browser compatible.

/**
 * Checks whether a run can use a component, from only its configuration and the headers of its weights.
 *
 * @module
 */

import { asJson, hashJson } from "../artifacts/canonical_json.ts";
import { architectureOfComponent, componentClasses } from "./architectures.ts";
import { UnsupportedArchitectureError } from "./checkpoint/checkpoint_errors.ts";
import type { Component } from "./checkpoint/component.ts";
import type { ComponentName } from "./checkpoint/model_index.ts";
import type { Weights } from "./checkpoint/weights.ts";

/**
 * Rejects a component that no run can use. Its configuration must be supported, and its files must contain
 * every tensor that its graphs name, in the shape that the configuration implies. Reads no more than the
 * headers of the files.
 *
 * @param name Name of the component.
 * @param component The component.
 * @returns The component's weights.
 * @throws {CheckpointError} if a file or a tensor is missing, or if a tensor has the wrong shape or an
 *   unknown type.
 *
 * @example Usage
 * ```ts
 * import { checkComponent } from "./check_component.ts";
 * import { openComponent } from "./checkpoint/component.ts";
 * import { openDiskSource } from "./checkpoint/disk_source.ts";
 * const vae = await openComponent(await openDiskSource("models/pixstage-emoji/vae"));
 * const weights = await checkComponent("vae", vae);
 * console.assert(weights.has("decoder.conv_in.weight"));
 * ```
 */
export async function checkComponent(name: ComponentName, component: Component): Promise<Weights> {
  const architecture = architectureOfComponent(name, component.className);
  if (!architecture) {
    throw new UnsupportedArchitectureError(
      `Cannot run ${component.name}: its class is ${component.className}, but must be one of ` +
        componentClasses(name).join(", "),
    );
  }
  const weights = await component.weights();
  if (!architecture.buildGraphs) return weights;
  // Every run checks its components, and a server runs the same ones repeatedly.
  const content = await hashJson(asJson({
    name,
    className: component.className,
    config: component.config,
    tensors: weights.names.map((
      tensor,
    ) => [tensor, weights.locate(tensor).dtype, weights.locate(tensor).shape]),
  }));
  if (!checked.has(content)) architecture.buildGraphs(name, component, weights);
  checked.add(content);
  return weights;
}

/** SHA-256 of the configurations and headers that this process has already checked. */
const checked = new Set<string>();
