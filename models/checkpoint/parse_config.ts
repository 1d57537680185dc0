// This module is browser compatible.

import type { z } from "zod";
import { parseValue } from "../../errors/parse_value.ts";
import { UnsupportedArchitectureError } from "./checkpoint_errors.ts";
import type { Component } from "./component.ts";

/**
 * Parses the configuration of a component.
 *
 * @param schema Schema of the supported configurations.
 * @param component The component.
 * @returns Its configuration.
 * @throws {UnsupportedArchitectureError} if the value of a field is not supported. The message names the
 *   file, the field, the supported values, and the current one.
 */
export function parseConfig<Schema extends z.ZodType>(
  schema: Schema,
  { source, folder, config }: Pick<Component, "source" | "folder" | "config">,
): z.output<Schema> {
  return parseValue(schema, config, ({ clause }, options) => {
    const file = [source.name, folder, "config.json"].filter((part) => part !== "").join("/");
    return new UnsupportedArchitectureError(`Cannot run ${file} because ${clause}`, options);
  });
}
