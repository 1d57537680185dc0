/**
 * Finds the reference values: the full set where the checkout has it beside it, else the part that the repository
 * carries.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FULL = fileURLToPath(new URL("../../shared/goldens/", import.meta.url));
const CARRIED = fileURLToPath(new URL("./goldens/", import.meta.url));

/** Whether the full set is at hand. */
export const hasFullGoldens: boolean = existsSync(FULL);

/** Where a file or folder of the goldens lies: the carried copy first, else the full set. */
export function goldenPath(path: string): string {
  const carried = CARRIED + path;
  return existsSync(carried) ? carried : FULL + path;
}

/** Whether a file or folder of the goldens is at hand. */
export function hasGolden(path: string): boolean {
  return existsSync(goldenPath(path));
}

/** Reads a JSON file of the goldens. Floats that JSON cannot hold stand there as `{"$float": "-inf"}`. */
export function goldenJson<T>(path: string): T {
  return JSON.parse(Deno.readTextFileSync(goldenPath(path)), (_key, value) => {
    if (value === null || typeof value !== "object" || !("$float" in value)) return value;
    return { "inf": Infinity, "-inf": -Infinity, "nan": NaN }[value.$float as string];
  }) as T;
}
