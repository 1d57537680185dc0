// This module is browser compatible.

/**
 * Plugins: modules that add stages, architectures and schedulers.
 *
 * @module
 */

import { z } from "zod";
import { parseValue } from "../errors/parse_value.ts";
import { PixstageError } from "../errors/pixstage_error.ts";
import type { Architecture } from "../models/architecture.ts";
import { registerArchitecture } from "../models/architectures.ts";
import { registerScheduler, type SchedulerDefinition } from "../schedulers/mod.ts";
import type { StageRegistry } from "../stages/registry.ts";
import type { Stage } from "../stages/stage.ts";

/** A module is not a plugin, or the user did not allow a plugin. */
export class PluginError extends PixstageError<"invalid_plugin" | "plugins_not_allowed"> {
  override name = "PluginError";
}

const callable = z.custom<(...args: unknown[]) => unknown>(
  (value) => typeof value === "function",
  "It must be a function",
);

const ports = z.record(
  z.string().regex(/^\w+$/, "A port's name consists of letters, digits and _"),
  z.object({ kind: z.string().min(1), description: z.string(), optional: z.boolean().optional() }),
);

const stageSchema = z.object({
  name: z.string().min(1),
  version: z.string().min(1),
  description: z.string(),
  inputs: ports,
  outputs: ports,
  parameters: z.custom(
    (value) => value instanceof Object && "safeParse" in value,
    "It must be a zod schema",
  ),
  prepare: callable,
});

const architectureSchema = z.object({
  name: z.string().min(1),
  pipelines: z.record(z.string(), z.string()),
  classes: z.record(z.string(), z.array(z.string())),
  defaults: z.object({ steps: z.int().positive(), guidanceScale: z.number() }),
  textEncoder: callable,
  denoiser: callable,
  decoder: callable,
});

const schedulerSchema = z.object({
  name: z.string().min(1),
  shortNames: z.record(z.string(), z.unknown()),
  parse: callable,
  create: callable,
});

/**
 * Loads plugins. The default export of each is a stage, an architecture or a scheduler, or a list of these.
 * Architectures and schedulers are registered for the whole process.
 *
 * @param registry The registry that receives the stages.
 * @param modules The modules: URLs, or `npm:` and `jsr:` specifiers.
 * @returns The registry.
 * @throws {PluginError} if a module cannot be loaded or exports none of these.
 * @throws {InputError} if a name is already registered.
 */
export async function loadPlugins(
  registry: StageRegistry,
  modules: readonly string[],
): Promise<StageRegistry> {
  for (const module of modules) {
    for (const part of await pluginParts(module)) {
      if ("prepare" in part) registry.add(part);
      else if ("pipelines" in part) registerArchitecture(part);
      else registerScheduler(part);
    }
  }
  return registry;
}

/**
 * Throws if a graph names plugins that the user did not allow. A document alone never runs code.
 *
 * @param wanted The plugins that the graph names.
 * @param allowed The plugins that the user allows, under the same names.
 * @throws {PluginError} if a plugin is not allowed.
 */
export function checkPluginsAllowed(wanted: readonly string[], allowed: readonly string[]): void {
  const missing = wanted.filter((plugin) => !allowed.includes(plugin));
  if (missing.length === 0) return;
  throw new PluginError(
    "plugins_not_allowed",
    `The graph needs the code of ${missing.join(", ")}. If you trust it, allow it with ${
      missing.map((plugin) => `--plugin ${plugin}`).join(" ")
    }`,
  );
}

async function pluginParts(module: string): Promise<(Stage | Architecture | SchedulerDefinition)[]> {
  let found: { readonly default?: unknown };
  try {
    found = await import(module);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PluginError("invalid_plugin", `Cannot load plugin ${module}: ${reason}`, { cause });
  }
  const parts = [found.default].flat();
  const part = z.union([stageSchema, architectureSchema, schedulerSchema]);
  parseValue(
    z.array(part).min(1, "There must be a stage, an architecture or a scheduler"),
    parts,
    ({ clause }, options) =>
      new PluginError(
        "invalid_plugin",
        `Cannot use ${module} as a plugin: its default export must be a stage, an architecture or a scheduler, or a ` +
          `list of these: ${clause}`,
        options,
      ),
  );
  return parts as (Stage | Architecture | SchedulerDefinition)[];
}
