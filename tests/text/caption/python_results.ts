/**
 * Results of the Python libraries that caption cleaning follows, on strings made up of their special cases.
 */

import results from "./python_results.json" with { type: "json" };

/** Pairs of a text and the result of the function's Python counterpart. */
export function pythonResults(name: keyof typeof results): [text: string, expected: string][] {
  return results[name] as [string, string][];
}
