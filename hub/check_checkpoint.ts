/**
 * Checks whether a run could use a checkpoint, before a list offers it.
 *
 * @module
 */

import { checkComponent } from "../models/check_component.ts";
import { type Checkpoint, schedulerBeneath } from "../models/checkpoint/checkpoint.ts";
import type { ComponentName } from "../models/checkpoint/model_index.ts";
import { createScheduler, schedulerConfig } from "../schedulers/mod.ts";

/** Any number of steps shows whether the scheduler's options are compatible. */
const STEPS = 20;

/** The parts of a checkpoint that are checked. */
export type CheckedPart = ComponentName | "tokenizer" | "scheduler";

/**
 * Throws if no run could use a part of a checkpoint. Reads configurations, the tokenizer and the headers of
 * weights.
 *
 * @param checkpoint The checkpoint.
 * @param part The part.
 * @throws the error of a run if the part is missing, or a run would refuse it.
 */
export async function checkPart(checkpoint: Checkpoint, part: CheckedPart): Promise<void> {
  switch (part) {
    case "tokenizer":
      // The architecture decides whether there is a tokenizer.
      (await checkpoint.architecture.textEncoder(checkpoint, { cleanCaption: false })).tokenize("");
      break;
    case "scheduler": {
      const { scheduler: named, schedulerOptions, steps = STEPS } = checkpoint.defaults;
      const { className, config } = await schedulerBeneath(named, () => checkpoint.scheduler());
      const name = named ?? className;
      createScheduler(name, schedulerConfig(name, config, schedulerOptions), { steps });
      break;
    }
    default:
      await checkComponent(part, await checkpoint.component(part));
  }
}
