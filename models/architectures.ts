// This module is browser compatible.

/**
 * The registry of architectures. This is the one place that names them; plugins add theirs with
 * {@linkcode registerArchitecture}.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { FloatDType } from "../artifacts/half_precision.ts";
import type { Architecture } from "./architecture.ts";
import type { ComponentName } from "./checkpoint/model_index.ts";
import type { RehearsalPreset } from "./rehearsal/preset.ts";
import { pixartArchitecture } from "./pixart/architecture.ts";

const architectures: Architecture[] = [pixartArchitecture];

/**
 * Adds an architecture. Adding the same one again does nothing.
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
      `Cannot add the architecture ${architecture.name}: ${taken.name} has its name or one of its pipelines`,
    );
  }
  architectures.push(architecture);
}

/** All architectures, in the order in which they were added. */
export function listArchitectures(): readonly Architecture[] {
  return architectures;
}

/** The architecture of a pipeline, by the class that `model_index.json` names. */
export function architectureOfPipeline(className: string): Architecture | undefined {
  return architectures.find(({ pipelines }) => Object.hasOwn(pipelines, className));
}

/** The architecture of a component, by its class. */
export function architectureOfComponent(
  component: ComponentName,
  className: string,
): Architecture | undefined {
  return architectures.find(({ classes }) => classes[component]?.includes(className));
}

/** Names of the checkpoints to rehearse with. */
export function rehearsalNames(): string[] {
  return architectures.flatMap(({ rehearsals = {} }) => Object.keys(rehearsals));
}

/**
 * A checkpoint to rehearse with.
 *
 * @param name Its name.
 * @param dtype Element type of its weights.
 * @throws {InputError} if no architecture has it.
 */
export function rehearsalPreset(name: string, dtype: FloatDType): RehearsalPreset {
  for (const { rehearsals = {} } of architectures) {
    if (Object.hasOwn(rehearsals, name)) return rehearsals[name]!(dtype);
  }
  throw new InputError(
    "invalid_value",
    `preset must be ${rehearsalNames().join(", ")}: current value is ${name}`,
  );
}

/** All classes that a component can have. */
export function componentClasses(component: ComponentName): string[] {
  return [...new Set(architectures.flatMap(({ classes }) => classes[component] ?? []))];
}
