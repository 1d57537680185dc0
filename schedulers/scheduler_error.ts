// This module is browser compatible.

/**
 * Errors in a scheduler's name, in its options, and in the options of a run.
 *
 * @module
 */

import { nearest as nearestOf } from "../errors/nearest.ts";
import { PixstageError } from "../errors/pixstage_error.ts";
import { shownName } from "../errors/shown_name.ts";
import type { RunOptions } from "./run_options.ts";

/** Thrown if no scheduler has the given name. */
export class UnknownSchedulerError extends PixstageError<"unknown_scheduler"> {
  override name = "UnknownSchedulerError";
  /** The unknown name. */
  readonly given: string;
  /** The known name nearest to it. */
  readonly nearest: string;

  /**
   * @param given The unknown name.
   * @param names The known names.
   */
  constructor(given: string, names: readonly string[]) {
    const nearest = nearestOf(given, names);
    super(
      "unknown_scheduler",
      `No scheduler is named ${JSON.stringify(shownName(given))}: did you mean "${nearest}"?`,
      { details: { field: "scheduler", nearest } },
    );
    this.given = given;
    this.nearest = nearest;
  }
}

/**
 * Thrown if a scheduler does not support a run: it has both timesteps and sigmas, or an option it does not
 * accept.
 */
export class ScheduleError extends PixstageError<"invalid_schedule"> {
  override name = "ScheduleError";

  /**
   * @param message The option that the scheduler does not accept, and what to give instead.
   * @param field The offending field of the run.
   */
  constructor(message: string, field?: keyof RunOptions) {
    super("invalid_schedule", message, { details: field && { field } });
  }
}

/** Thrown for an option that a scheduler does not have, or for a value that an option does not accept. */
export class SchedulerOptionError extends PixstageError<"invalid_scheduler_option"> {
  override name = "SchedulerOptionError";
  /** The scheduler's name. */
  readonly scheduler: string;
  /** The option's name. */
  readonly option: string;

  /**
   * @param scheduler The scheduler's name.
   * @param option The option's name.
   * @param message What is wrong, as a clause.
   */
  constructor(scheduler: string, option: string, message: string) {
    super("invalid_scheduler_option", `Cannot configure ${scheduler} because ${message}`, {
      details: { field: "scheduler", scheduler, option },
    });
    this.scheduler = scheduler;
    this.option = option;
  }

  /** Creates the error for an option that the scheduler does not have. */
  static unknown(scheduler: string, option: string, options: readonly string[]): SchedulerOptionError {
    const nearest = nearestOf(option, options);
    return new SchedulerOptionError(
      scheduler,
      option,
      `it has no option ${JSON.stringify(shownName(option))}: did you mean "${nearest}"?`,
    );
  }
}
