// This module is browser compatible.

/**
 * Shared parts of the models' configuration schemas.
 *
 * @module
 */

import * as z from "zod";

/** Schema of a size: a positive integer. */
export const size: z.ZodInt = z.int().positive();

/**
 * Returns the schema of a key for which only some values are supported.
 *
 * @param values The supported values. The first is the default.
 */
export function only<const T extends string | number | boolean>(
  ...values: readonly [T, ...T[]]
): z.ZodDefault<z.ZodLiteral<T>> {
  return z.literal([...values]).default(values[0] as z.util.NoUndefined<T>);
}
