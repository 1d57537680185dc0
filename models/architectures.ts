// This module is browser compatible.

/**
 * The registry of architectures, and the only module that names them. Plugins add their own with
 * {@linkcode registerArchitecture}.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { FloatDType } from "../artifacts/half_precision.ts";
import type { Architecture } from "./architecture.ts";
import type { ComponentName } from "./checkpoint/model_index.ts";
import type { SyntheticPreset } from "./synthetic/preset.ts";
import { pixartArchitecture } from "./pixart/architecture.ts";

const architectures: Architecture[] = [pixartArchitecture];

/**
 * Registers an architecture. Registering the same one again has no effect.
 *
 * @param architecture The architecture.
 * @throws {InputError} if another architecture has its name or one of its pipelines.
 */
export function registerArchitecture(architecture: Architecture): void {
  if (architectures.includes(architecture)) return;
  const taken = architectures.find(({ name, pipelines }) =>
    name === architecture.name ||
    Object.keys(architecture.pipelines).some((key) => Object.hasOwn(pipelines, key))
  );
  if (taken) {
    throw new InputError(
      "invalid_value",
      `Cannot register the architecture ${architecture.name}: ${taken.name} already has its name or one of its pipelines`,
    );
  }
  architectures.push(architecture);
}

/** Returns all architectures in registration order. */
export function listArchitectures(): readonly Architecture[] {
  return architectures;
}

/** Finds the architecture of a pipeline class, as named by `model_index.json`. */
export function architectureOfPipeline(className: string): Architecture | undefined {
  return architectures.find(({ pipelines }) => Object.hasOwn(pipelines, className));
}

/** Finds the architecture that supports a component of this class. */
export function architectureOfComponent(
  component: ComponentName,
  className: string,
): Architecture | undefined {
  return architectures.find(({ classes }) => classes[component]?.includes(className));
}

/** Returns the names of all synthetic checkpoints. */
export function syntheticPresetNames(): string[] {
  return architectures.flatMap(({ syntheticPresets = {} }) => Object.keys(syntheticPresets));
}

/**
 * Returns the preset of a synthetic checkpoint.
 *
 * @param name Name of the preset.
 * @param dtype Element type of its weights.
 * @throws {InputError} if no architecture has a preset of this name.
 */
export function syntheticPreset(name: string, dtype: FloatDType): SyntheticPreset {
  for (const { syntheticPresets = {} } of architectures) {
    if (Object.hasOwn(syntheticPresets, name)) return syntheticPresets[name]!(dtype);
  }
  throw new InputError(
    "invalid_value",
    `preset must be one of ${syntheticPresetNames().join(", ")}: current value is ${name}`,
  );
}

/** Returns all supported classes of a component. */
export function componentClasses(component: ComponentName): string[] {
  return [...new Set(architectures.flatMap(({ classes }) => classes[component] ?? []))];
}
