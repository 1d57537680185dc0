// This module is browser compatible.

/**
 * Says how many values an input takes that accepts one value for all, or one for each.
 *
 * @param each The number of values if there is one for each.
 * @param noun The noun for one value, whose plural ends in s.
 * @returns The text, such as `1 or 4 seeds`.
 *
 * @example Usage
 * ```ts
 * import { oneOrEach } from "./expected_count.ts";
 * import assert from "node:assert/strict";
 * assert.equal(oneOrEach(4, "seed"), "1 or 4 seeds");
 * assert.equal(oneOrEach(1, "seed"), "1 seed");
 * ```
 */
export function oneOrEach(each: number, noun: string): string {
  return each > 1 ? `1 or ${each} ${noun}s` : `1 ${noun}`;
}
