// This module is browser compatible.

/** Maximum number of characters of a name in a message. */
const SHOWN = 100;

/** Returns a name that a user gave as messages show it: short, because it can be as long as a request. */
export function shownName(name: string): string {
  return name.length > SHOWN ? `${name.slice(0, SHOWN)}…` : name;
}
