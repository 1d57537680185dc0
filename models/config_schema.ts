// This module is browser compatible.

/**
 * What the models' configuration schemas share.
 *
 * @module
 */

import * as z from "zod";

/** A size: a whole number above 0. */
export const size: z.ZodInt = z.int().positive();

/**
 * A key of which some values alone are computed. The first is the default.
 *
 * @param values The values.
 */
export function only<const T extends string | number | boolean>(
  ...values: readonly [T, ...T[]]
): z.ZodDefault<z.ZodLiteral<T>> {
  return z.literal([...values]).default(values[0] as z.util.NoUndefined<T>);
}
