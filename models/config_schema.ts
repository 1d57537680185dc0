// This module is browser compatible.

/**
 * What the models' configuration schemas share.
 *
 * @module
 */

import * as z from "zod";
import { UnsupportedArchitectureError } from "./checkpoint/checkpoint_errors.ts";

/** A size: a whole number above 0. */
export const size: z.ZodInt = z.int().positive();

/**
 * A key of which some values alone are computed. The first is the default; others are refused with a message
 * that names these.
 *
 * @param values The values.
 */
export function only<const T extends string | number | boolean>(
  ...values: readonly [T, ...T[]]
): z.ZodDefault<z.ZodLiteral<T>> {
  const error = ({ input }: { input?: unknown }): string => mustBe(values, input);
  return z.literal([...values], { error }).default(values[0] as z.util.NoUndefined<T>);
}

/** Says which values of a key are computed, and which one is there. */
export function mustBe(values: readonly unknown[], current: unknown): string {
  const known = values.map((value) => JSON.stringify(value)).join(", ");
  return `must be ${values.length === 1 ? "" : "one of "}${known}: current value is ${
    JSON.stringify(current)
  }`;
}

/** The configuration of a model, as its `config.json` says it. */
export interface ConfigSchema<T> {
  /**
   * Reads a configuration.
   *
   * @throws {UnsupportedArchitectureError} if it asks for what is not computed here, or is no such
   *   configuration.
   */
  parse(config: unknown): T;
  /** Reads a configuration without throwing. */
  safeParse(config: unknown): z.ZodSafeParseResult<T>;
}

/**
 * Completes a schema so that what it refuses is said in a sentence.
 *
 * @param component What the configuration is of: `transformer`.
 * @param schema The schema.
 */
export function configSchema<T>(component: string, schema: z.ZodType<T>): ConfigSchema<T> {
  return {
    safeParse: (config) => schema.safeParse(config),
    parse(config) {
      const parsed = schema.safeParse(config);
      if (parsed.success) return parsed.data;
      const faults = parsed.error.issues.map(({ path, message }) =>
        message.startsWith("must ") ? `${path.join(".")} ${message}` : `${path.join(".")}: ${message}`
      );
      throw new UnsupportedArchitectureError(
        `Cannot run the ${component} with its config.json as ${faults.join("; ")}`,
        { cause: parsed.error },
      );
    },
  };
}
