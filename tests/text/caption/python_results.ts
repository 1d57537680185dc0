/** Results of the Python libraries that caption cleaning follows, on strings made up of what they treat specially. */

import results from "./python_results.json" with { type: "json" };

/** Pairs of a text and what the Python counterpart of the named function makes of it. */
export function pythonResults(name: keyof typeof results): [text: string, expected: string][] {
  return results[name] as [string, string][];
}
