/**
 * Says whether a run could use a checkpoint, before a list offers it.
 *
 * @module
 */

import { checkComponent } from "../models/check_component.ts";
import { type Checkpoint, schedulerBeneath } from "../models/checkpoint/checkpoint.ts";
import type { ComponentName } from "../models/checkpoint/model_index.ts";
import { createScheduler, schedulerConfig } from "../schedulers/mod.ts";

/** Any number of steps tells whether the options go together. */
const STEPS = 20;

/** Parts of a checkpoint that are checked. */
export type CheckedPart = ComponentName | "tokenizer" | "scheduler";

/**
 * Refuses a part of a checkpoint that no run could use. Reads configurations, the tokenizer and the headers
 * of weights.
 *
 * @param checkpoint The checkpoint.
 * @param part The part.
 * @throws if the part is missing, or a run would refuse it: the error is the run's own.
 */
export async function checkPart(checkpoint: Checkpoint, part: CheckedPart): Promise<void> {
  switch (part) {
    case "tokenizer":
      // Whether there is one is the architecture's matter.
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
