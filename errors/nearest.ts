// This module is browser compatible.

/**
 * The nearest of several names, for error messages that suggest one.
 *
 * @module
 */

import { closest } from "fastest-levenshtein";

/** The name among `names` that takes the fewest edits from `name`, case aside. */
export function nearest(name: string, names: readonly string[]): string {
  const match = closest(name.toLowerCase(), names.map((candidate) => candidate.toLowerCase()));
  return names.find((candidate) => candidate.toLowerCase() === match) ?? match;
}
