// This module is browser compatible.

/**
 * Finds the nearest of several names, for suggestions in error messages.
 *
 * @module
 */

import { closest } from "fastest-levenshtein";

/** Maximum number of compared characters, because the time of a comparison grows with it. */
const COMPARED = 100;

/** Returns the name in `names` with the smallest edit distance to `name`, ignoring case. */
export function nearest(name: string, names: readonly string[]): string {
  const match = closest(compared(name), names.map(compared));
  return names.find((candidate) => compared(candidate) === match) ?? match;
}

function compared(name: string): string {
  return name.slice(0, COMPARED).toLowerCase();
}
