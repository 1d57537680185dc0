/**
 * Finds the reference values: the full set if it is next to the checkout, otherwise the part in the
 * repository.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FULL = fileURLToPath(new URL("../../shared/goldens/", import.meta.url));
const CARRIED = fileURLToPath(new URL("./goldens/", import.meta.url));

/** Whether the full set is available. */
export const hasFullGoldens: boolean = existsSync(FULL);

/** Returns the path of a file or folder of the goldens, in the repository or else in the full set. */
export function goldenPath(path: string): string {
  const carried = CARRIED + path;
  return existsSync(carried) ? carried : FULL + path;
}

/** Returns whether a file or folder of the goldens is available. */
export function hasGolden(path: string): boolean {
  return existsSync(goldenPath(path));
}

/**
 * Reads a JSON file of the goldens. Floats that JSON cannot represent are written as `{"$float": "-inf"}`.
 */
export function goldenJson<T>(path: string): T {
  return JSON.parse(Deno.readTextFileSync(goldenPath(path)), (_key, value) => {
    if (value === null || typeof value !== "object" || !("$float" in value)) return value;
    return { "inf": Infinity, "-inf": -Infinity, "nan": NaN }[value.$float as string];
  }) as T;
}
