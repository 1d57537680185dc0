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
 * A key of which one value alone is computed. It is the default; another is refused with a message that names it.
 *
 * @param value The value.
 */
export function only<const T extends string | number | boolean>(value: T): z.ZodDefault<z.ZodLiteral<T>> {
  const error = ({ input }: { input?: unknown }): string =>
    `Cannot compute this architecture as it must be ${JSON.stringify(value)}: ` +
    `current value is ${JSON.stringify(input)}`;
  return z.literal(value, { error }).default(value as z.util.NoUndefined<T>);
}
