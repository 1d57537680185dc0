// This module is browser compatible.

/**
 * The stages that a graph can name.
 *
 * @module
 */

import { InputError, PixstageError } from "../errors/pixstage_error.ts";
import { nearest } from "../errors/nearest.ts";
import { shownName } from "../errors/shown_name.ts";
import type { Stage } from "./stage.ts";

/** A graph names a stage that is not registered. */
export class UnknownStageError extends PixstageError<"unknown_stage"> {
  override name = "UnknownStageError";

  /** @param message The missing stage, and the ones that exist. */
  constructor(message: string) {
    super("unknown_stage", message, { details: { field: "stage" } });
  }
}

/** Stages by name. */
export class StageRegistry {
  #stages = new Map<string, Stage>();

  /** @param stages The initial stages. */
  constructor(stages: Iterable<Stage> = []) {
    for (const stage of stages) this.add(stage);
  }

  /**
   * Adds a stage.
   *
   * @param stage The stage.
   * @throws {InputError} if its name is taken, because a plugin must not silently replace a stage.
   */
  add(stage: Stage): void {
    if (this.#stages.has(stage.name)) {
      throw new InputError(
        "invalid_value",
        `Cannot add stage "${stage.name}": there is already a stage of that name`,
      );
    }
    this.#stages.set(stage.name, stage);
  }

  /** Returns whether a stage of that name is registered. */
  has(name: string): boolean {
    return this.#stages.has(name);
  }

  /**
   * Returns the stage of a name.
   *
   * @throws {UnknownStageError} if there is none. The message suggests the nearest name.
   */
  get(name: string): Stage {
    const stage = this.#stages.get(name);
    if (stage) return stage;
    throw new UnknownStageError(
      `Cannot find stage "${shownName(name)}": did you mean "${
        nearest(name, [...this.#stages.keys()])
      }"? Stages are ${[...this.#stages.keys()].join(", ")}`,
    );
  }

  /** Lists all stages in the order in which they were added. */
  list(): Stage[] {
    return [...this.#stages.values()];
  }
}
