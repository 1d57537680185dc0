// This module is browser compatible.

/**
 * What can be wrong with a scheduler's name, its options, or what a run asks of it.
 *
 * @module
 */

import { distance } from "fastest-levenshtein";
import { PixstageError } from "../errors/pixstage_error.ts";
import type { RunOptions } from "./run_options.ts";

/** A name that no scheduler has. */
export class UnknownSchedulerError extends PixstageError<"unknown_scheduler"> {
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
      "unknown_scheduler",
      `Cannot make the scheduler ${
        JSON.stringify(given)
      } as there is none of that name: did you mean ${nearest}`,
      { details: { field: "scheduler", nearest } },
    );
    this.given = given;
    this.nearest = nearest;
  }
}

/** A run that a scheduler cannot take: both timesteps and sigmas, or what this one has no use for. */
export class ScheduleError extends PixstageError<"invalid_schedule"> {
  override name = "ScheduleError";

  /**
   * @param message What the scheduler does not take, and what to give in its place.
   * @param field The field of the run at fault.
   */
  constructor(message: string, field?: keyof RunOptions) {
    super("invalid_schedule", message, { details: field && { field } });
  }
}

/** An option that a scheduler does not have, or a value that an option cannot take. */
export class SchedulerOptionError extends PixstageError<"invalid_scheduler_option"> {
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
    super("invalid_scheduler_option", `Cannot configure ${scheduler} as ${message}`, {
      details: { field: "scheduler", scheduler, option },
    });
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
}

/** The name that needs the fewest changes, letter case aside. */
function nearestOf(given: string, names: readonly string[]): string {
  const far = (name: string): number => distance(given.toLowerCase(), name.toLowerCase());
  return names.reduce((nearest, name) => far(name) < far(nearest) ? name : nearest);
}
