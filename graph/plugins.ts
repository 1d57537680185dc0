// This module is browser compatible.

/**
 * Plugins: modules that bring stages of their own.
 *
 * @module
 */

import { z } from "zod";
import { parseValue } from "../errors/parse_value.ts";
import { PixstageError } from "../errors/pixstage_error.ts";
import type { StageRegistry } from "../stages/registry.ts";
import type { Stage } from "../stages/stage.ts";

/** A module that is no plugin, or a plugin that nobody allowed. */
export class PluginError extends PixstageError<"invalid_plugin" | "plugins_not_allowed"> {
  override name = "PluginError";
}

const callable = z.custom<(...args: unknown[]) => unknown>(
  (value) => typeof value === "function",
  "It must be a function",
);

const ports = z.record(
  z.string().regex(/^\w+$/, "A port's name is of letters, digits and _"),
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

/**
 * Loads plugins. The default export of each is a stage or a list of stages.
 *
 * @param registry Where their stages go.
 * @param modules The modules: addresses, or `npm:` and `jsr:` specifiers.
 * @returns The registry.
 * @throws {PluginError} if a module cannot be loaded or brings no stages.
 * @throws {InputError} if a stage's name is taken.
 */
export async function loadPlugins(
  registry: StageRegistry,
  modules: readonly string[],
): Promise<StageRegistry> {
  for (const module of modules) for (const stage of await pluginStages(module)) registry.add(stage);
  return registry;
}

/**
 * Refuses a graph whose plugins were not allowed. A document alone never makes code run.
 *
 * @param wanted The plugins that the graph names.
 * @param allowed The plugins that the user allows, named alike.
 * @throws {PluginError} if one is not allowed.
 */
export function checkPluginsAllowed(wanted: readonly string[], allowed: readonly string[]): void {
  const missing = wanted.filter((plugin) => !allowed.includes(plugin));
  if (missing.length === 0) return;
  throw new PluginError(
    "plugins_not_allowed",
    `Cannot run the graph as it needs the code of ${missing.join(", ")}: if you trust it, say ${
      missing.map((plugin) => `--plugin ${plugin}`).join(" ")
    }`,
  );
}

async function pluginStages(module: string): Promise<Stage[]> {
  let found: { readonly default?: unknown };
  try {
    found = await import(module);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PluginError("invalid_plugin", `Cannot load plugin ${module}: ${reason}`, { cause });
  }
  const stages = [found.default].flat();
  parseValue(z.array(stageSchema).min(1), stages, ({ clause }, options) =>
    new PluginError(
      "invalid_plugin",
      `Cannot use ${module} as a plugin as its default export must be a stage, or a list of stages: ` +
        `${clause}`,
      options,
    ));
  return stages as Stage[];
}
