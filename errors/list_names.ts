// This module is browser compatible.

/** Number of names that fit on two lines of a terminal. */
const SHOWN = 8;

/**
 * Lists names for a message: the first few, and the number of the others.
 *
 * @param names The names.
 * @returns E.g. `a, b and c`, or `nothing` for an empty list.
 */
export function listNames(names: Iterable<string>): string {
  const all = [...names];
  if (all.length === 0) return "nothing";
  const shown = all.slice(0, SHOWN);
  const hidden = all.length - shown.length;
  const last = hidden > 0 ? `${hidden} more` : shown.pop();
  return shown.length === 0 ? `${last}` : `${shown.join(", ")} and ${last}`;
}
