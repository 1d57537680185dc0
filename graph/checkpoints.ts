// This module is browser compatible.

/**
 * When a running stage's state is kept.
 *
 * @module
 */

import { z } from "zod";
import type { Artifact } from "../artifacts/artifact.ts";
import type { StageCheckpoint } from "../stages/stage.ts";

/** The schema of {@linkcode CheckpointPolicy}. */
export const checkpointPolicySchema = z.strictObject({
  /** Steps between two checkpoints; counted from the start of the stage. */
  everySteps: z.int().positive().optional(),
  /** Milliseconds between two checkpoints, and before the first. */
  everyMs: z.number().nonnegative().optional(),
});

/** When a running stage's state is kept: every so many steps, every so many milliseconds, or both. */
export type CheckpointPolicy = z.infer<typeof checkpointPolicySchema>;

/** Runs that last longer than some seconds are worth a checkpoint. */
export const DEFAULT_CHECKPOINTS: CheckpointPolicy = { everyMs: 5000 };

/** Keeps what a stage offers where the policy says that it is due. */
export class PolicyCheckpoint implements StageCheckpoint {
  readonly saved: Artifact | undefined;
  #policy: CheckpointPolicy;
  #keep: (artifact: Artifact) => Promise<void>;
  #offers = 0;
  #last = performance.now();

  /**
   * @param policy When a state is due.
   * @param keep Keeps one.
   * @param saved What was kept before.
   */
  constructor(
    policy: CheckpointPolicy,
    keep: (artifact: Artifact) => Promise<void>,
    saved?: Artifact | undefined,
  ) {
    this.#policy = policy;
    this.#keep = keep;
    this.saved = saved;
  }

  async offer(make: () => Artifact): Promise<void> {
    const { everySteps, everyMs } = this.#policy;
    this.#offers += 1;
    const dueByStep = everySteps !== undefined && this.#offers % everySteps === 0;
    const dueByTime = everyMs !== undefined && performance.now() - this.#last >= everyMs;
    if (!dueByStep && !dueByTime) return;
    await this.#keep(make());
    this.#last = performance.now();
  }
}
