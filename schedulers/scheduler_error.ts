// This module is browser compatible.

/**
 * What can be wrong with a scheduler's name, its options, or what a run asks of it.
 *
 * @module
 */

import { distance } from "fastest-levenshtein";
import type { z } from "zod";

/** A name that no scheduler has. */
export class UnknownSchedulerError extends Error {
  override name = "UnknownSchedulerError";
  /** The name that was given. */
  readonly given: string;
  /** The name nearest to it. */
  readonly nearest: string;

  /**
   * @param given The name that was given.
   * @param names Names that there are.
   */
  constructor(given: string, names: readonly string[]) {
    const nearest = nearestOf(given, names);
    super(
      `Cannot make the scheduler ${
        JSON.stringify(given)
      } as there is none of that name: did you mean ${nearest}`,
    );
    this.given = given;
    this.nearest = nearest;
  }
}

/** A run that a scheduler cannot take: both timesteps and sigmas, or what this one has no use for. */
export class ScheduleError extends TypeError {
  override name = "ScheduleError";
}

/** An option that a scheduler does not have, or a value that an option cannot take. */
export class SchedulerOptionError extends Error {
  override name = "SchedulerOptionError";
  /** The scheduler's name. */
  readonly scheduler: string;
  /** The option's name. */
  readonly option: string;

  /**
   * @param scheduler The scheduler's name.
   * @param option The option's name.
   * @param message What is wrong.
   */
  constructor(scheduler: string, option: string, message: string) {
    super(`Cannot configure ${scheduler} as ${message}`);
    this.scheduler = scheduler;
    this.option = option;
  }

  /** An option that the scheduler does not have. */
  static unknown(scheduler: string, option: string, options: readonly string[]): SchedulerOptionError {
    const nearest = nearestOf(option, options);
    return new SchedulerOptionError(
      scheduler,
      option,
      `it has no option ${JSON.stringify(option)}: did you mean ${nearest}`,
    );
  }

  /**
   * A value that an option cannot take, from zod's first complaint.
   *
   * @param scheduler The scheduler's name.
   * @param issue The complaint.
   * @param config The options as they were given.
   * @param defaults What options that were not given stand at.
   */
  static fromIssue(
    scheduler: string,
    issue: z.core.$ZodIssue,
    config: unknown,
    defaults: unknown,
  ): SchedulerOptionError {
    const option = issue.path.join(".");
    const given = valueAt(config, issue.path);
    const value = given === undefined ? valueAt(defaults, issue.path) : given;
    const current = typeof value === "number" ? String(value) : JSON.stringify(value);
    const source = given === undefined ? ", by default" : "";
    return new SchedulerOptionError(
      scheduler,
      option,
      `${option || "the configuration"} must be ${expectation(issue)}: current value is ${current}${source}`,
    );
  }
}

/** The name that needs the fewest changes, letter case aside. */
function nearestOf(given: string, names: readonly string[]): string {
  const far = (name: string): number => distance(given.toLowerCase(), name.toLowerCase());
  return names.reduce((nearest, name) => far(name) < far(nearest) ? name : nearest);
}

function valueAt(config: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => inner !== null && typeof inner === "object" ? Reflect.get(inner, key) : undefined,
    config,
  );
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_value":
      return `one of ${issue.values.map(String).join(", ")}`;
    case "invalid_type":
      return `of type ${issue.expected}`;
    case "too_small":
      return `${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      return `${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
    default:
      return issue.message;
  }
}
