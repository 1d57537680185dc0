// This module is browser compatible.

/**
 * Durations, as users write them.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../errors/pixstage_error.ts";

/** Milliseconds per unit of Go's durations. */
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Numbers with units, or a single number. */
const DURATION = /^(-?)(?:((?:\d+(?:\.\d+)?(?:ms|s|m|h))+)|(\d+(?:\.\d+)?))$/;

/** Maximum length of a duration. Each of its parts takes the expression a step deeper. */
const LONGEST = 100;

/** The rule for durations, for errors. */
const RULE =
  "It must be a duration such as 5m or 1h30m, or a number of seconds, 0 for no time or -1 for forever";

/** How long something is kept, as users and JSON write it: a text, or a number of seconds. */
export const keepAliveSchema = z.union([z.number(), z.string()]).refine(
  (value) => readDuration(value) !== undefined,
  RULE,
);

/**
 * Parses how long something is kept, in the format of Ollama's `keep_alive`: `5m`, `1h30m`, `500ms`, or a
 * number of seconds. A negative value means forever.
 *
 * @param value The duration.
 * @returns Milliseconds; `Infinity` for forever.
 * @throws {InputError} if the value is not a duration.
 *
 * @example Usage
 * ```ts
 * import { keepAliveMs } from "./duration.ts";
 *
 * console.assert(keepAliveMs("1h30m") === 5_400_000);
 * console.assert(keepAliveMs(0) === 0);
 * console.assert(keepAliveMs("-1") === Infinity);
 * ```
 */
export function keepAliveMs(value: string | number): number {
  const ms = readDuration(value);
  if (ms !== undefined) return ms;
  const shown = JSON.stringify(String(value).slice(0, 40));
  throw new InputError("invalid_value", `${RULE}: current value is ${shown}`);
}

function readDuration(value: string | number): number | undefined {
  const text = String(value);
  if (text.length > LONGEST) return undefined;
  const [, sign, parts, seconds] = DURATION.exec(text.trim()) ?? [];
  const amount = parts === undefined ? Number(seconds) * 1000 : sumOf(parts);
  if (!Number.isFinite(amount)) return undefined;
  return sign === "-" && amount > 0 ? Infinity : amount;
}

function sumOf(parts: string): number {
  return parts.matchAll(/([\d.]+)([a-z]+)/g).reduce(
    (sum, [, count, unit]) => sum + Number(count) * UNITS[unit!]!,
    0,
  );
}
