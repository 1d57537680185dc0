// This module is browser compatible.

/** As many names fit on two lines of a terminal. */
const SHOWN = 8;

/**
 * Lists names for a message: the first few, and how many more there are.
 *
 * @param names The names.
 * @returns `a, b and c`; `nothing` where there are none.
 */
export function someNames(names: Iterable<string>): string {
  const all = [...names];
  if (all.length === 0) return "nothing";
  const shown = all.slice(0, SHOWN);
  const hidden = all.length - shown.length;
  const last = hidden > 0 ? `${hidden} more` : shown.pop();
  return shown.length === 0 ? `${last}` : `${shown.join(", ")} and ${last}`;
}
