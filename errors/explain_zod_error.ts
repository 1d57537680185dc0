// This module is browser compatible.

/**
 * Turns zod's errors into one sentence that names the field, the requirement and the current value.
 *
 * @module
 */

import type { z } from "zod";

const LONGEST_VALUE = 120;

/** A problem with a value. */
export interface ValueProblem {
  /** The path of the offending field: `["size", "width"]`; empty for the whole value. */
  readonly path: readonly (string | number)[];
  /** The same path as text: `size.width`. */
  readonly field: string;
  /** The sentence after the field's name: `must be at least 1: current value is 0`. */
  readonly problem: string;
  /** Field and problem as a clause: `size.width must be at least 1: current value is 0`. */
  readonly clause: string;
}

/**
 * Explains the first issue of a zod error.
 *
 * @param error The error.
 * @param root The value that zod parsed, if available. The explanation then includes the value of the field.
 */
export function explainZodError(error: z.core.$ZodError, ...root: readonly [unknown?]): ValueProblem {
  const [issue] = error.issues;
  if (issue === undefined) return explained([], "is not valid");
  return explainIssue(issue, ...root);
}

/** Does the same as {@linkcode explainZodError} for one issue. */
export function explainIssue(issue: z.core.$ZodIssue, ...root: readonly [unknown?]): ValueProblem {
  if (issue.code === "unrecognized_keys") {
    return explained([...issue.path, issue.keys[0]!], "is not a known field");
  }
  const deepest = innerIssue(issue);
  const path = deepest === issue ? issue.path : [...issue.path, ...deepest.path];
  if (root.length === 0) return explained(path, requirement(deepest));
  const value = issue.code === "invalid_key" ? issue.path.at(-1) : valueAt(root[0], path);
  return value === undefined && deepest.code !== "custom"
    ? explained(path, `is missing: it ${requirement(deepest)}`)
    : explained(path, `${requirement(deepest)}: current value is ${show(value)}`);
}

function explained(keys: readonly PropertyKey[], problem: string): ValueProblem {
  const path = keys.map((key) => typeof key === "number" ? key : String(key));
  const field = path.join(".");
  return { path, field, problem, clause: `${field || "the value"} ${problem}` };
}

/**
 * Returns the most informative issue: for a record with a wrong key, the issue of that key; for a value that
 * no branch of a union accepts, the issue of the branch that got furthest.
 */
function innerIssue(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code === "invalid_key" || issue.code === "invalid_element") return issue.issues[0] ?? issue;
  if (issue.code !== "invalid_union") return issue;
  const firsts = issue.errors.flatMap(([first]) => first ? [first] : []);
  const [first, ...rest] = firsts;
  if (!first || firsts.every(({ path }) => path.length === 0)) return issue;
  return rest.reduce((deepest, other) => other.path.length > deepest.path.length ? other : deepest, first);
}

/** Returns the requirement on a value, to be appended to its field's name. */
function requirement(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_value":
      return `must be ${issue.values.length === 1 ? "" : "one of "}${issue.values.map(String).join(", ")}`;
    case "invalid_type":
      return `must be of type ${issue.expected}`;
    case "too_small":
      return `must ${
        bound(issue.inclusive !== false ? "at least" : "more than", issue.minimum, issue.origin)
      }`;
    case "too_big":
      return `must ${
        bound(issue.inclusive !== false ? "at most" : "less than", issue.maximum, issue.origin)
      }`;
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}`;
    case "invalid_union": {
      if ("options" in issue) return `must be one of ${issue.options.map(String).join(", ")}`;
      const branches = issue.errors.flatMap(([first]) => first ? [requirement(first)] : []);
      const [first = "must be of another type", ...rest] = [...new Set(branches)];
      return [first, ...rest.map((branch) => branch.replace(/^must (?:be )?/, ""))].join(" or ");
    }
    default:
      return asPredicate(issue.message);
  }
}

function bound(relation: string, limit: number | bigint, origin: string): string {
  switch (origin) {
    case "string":
      return `have ${relation} ${limit} ${plural("character", limit)}`;
    case "array":
    case "set":
      return `have ${relation} ${limit} ${plural("item", limit)}`;
    default:
      return `be ${relation} ${limit}`;
  }
}

function plural(noun: string, count: number | bigint): string {
  return Number(count) === 1 ? noun : `${noun}s`;
}

/** Turns a message of one of our schemas, such as `It must be JSON` or `must be off`, into a predicate. */
function asPredicate(message: string): string {
  const predicate = message.replace(/^It /, "");
  return /^(?:must|is|has|cannot|may) /.test(predicate) ? predicate : `is not valid (${predicate})`;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      inner !== null && typeof inner === "object" && Object.hasOwn(inner, key)
        ? Reflect.get(inner, key)
        : undefined,
    root,
  );
}

function show(value: unknown): string {
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    text = undefined;
  }
  text ??= String(value);
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}
