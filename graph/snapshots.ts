// This module is browser compatible.

/**
 * When the snapshots of a running stage are kept.
 *
 * @module
 */

import { z } from "zod";
import type { Artifact } from "../artifacts/artifact.ts";
import type { Snapshots } from "../stages/stage.ts";

/** The schema of {@linkcode SnapshotPolicy}. */
export const snapshotPolicySchema = z.strictObject({
  /** Number of steps between two snapshots, counted from the start of the stage. */
  everySteps: z.int().positive().optional(),
  /** Milliseconds between two snapshots, and before the first one. */
  everyMs: z.number().nonnegative().optional(),
});

/**
 * When the snapshots of a running stage are kept: after a number of steps, after a number of milliseconds, or
 * both.
 */
export type SnapshotPolicy = z.infer<typeof snapshotPolicySchema>;

/** Only runs that last longer than a few seconds are worth a snapshot. */
export const DEFAULT_SNAPSHOTS: SnapshotPolicy = { everyMs: 5000 };

/** Keeps the states that a stage offers whenever one is due according to the policy. */
export class PolicySnapshots implements Snapshots {
  readonly saved: Artifact | undefined;
  #policy: SnapshotPolicy;
  #keep: (artifact: Artifact) => Promise<void>;
  #offers = 0;
  #last = performance.now();

  /**
   * @param policy When a snapshot is due.
   * @param keep Keeps a snapshot.
   * @param saved The snapshot that was kept before.
   */
  constructor(
    policy: SnapshotPolicy,
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
