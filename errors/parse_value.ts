// This module is browser compatible.

import type { z } from "zod";
import { explainZodError, type ValueProblem } from "./explain_zod_error.ts";
import { InputError, type PixstageError } from "./pixstage_error.ts";

/**
 * Parses a value from outside.
 *
 * @param schema The schema of the value.
 * @param value The value.
 * @param refuse Creates the error from the problem; its options contain the zod error. The default is an
 * {@linkcode InputError} with the code `invalid_value`, whose `details.field` names the field.
 * @returns The parsed value.
 * @throws the error that `refuse` creates.
 *
 * @example Usage
 * ```ts
 * import { z } from "zod";
 * import { parseValue } from "./parse_value.ts";
 *
 * console.assert(parseValue(z.strictObject({ steps: z.int().min(1) }), { steps: 4 }).steps === 4);
 * // { steps: 0 } throws: steps must be at least 1: current value is 0
 * ```
 */
export function parseValue<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  refuse: (problem: ValueProblem, options: ErrorOptions) => PixstageError = refuseValue,
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw refuse(explainZodError(parsed.error, value), { cause: parsed.error });
}

function refuseValue({ clause, field }: ValueProblem, { cause }: ErrorOptions): PixstageError {
  return new InputError("invalid_value", clause, { cause, details: field === "" ? undefined : { field } });
}
