// This module is browser compatible.

/**
 * The nearest of several names, for error messages that suggest one.
 *
 * @module
 */

import { closest } from "fastest-levenshtein";

/** Characters of a name that are compared: the time of a comparison grows with their number. */
const COMPARED = 100;

/** The name among `names` that takes the fewest edits from `name`, case aside. */
export function nearest(name: string, names: readonly string[]): string {
  const match = closest(compared(name), names.map(compared));
  return names.find((candidate) => compared(candidate) === match) ?? match;
}

function compared(name: string): string {
  return name.slice(0, COMPARED).toLowerCase();
}
