/**
 * `plan`: tells how a run would use memory, without running.
 *
 * @module
 */

import { Command } from "commander";
import { stdout } from "node:process";
import { DEFAULT_MODEL, LocalModels } from "../hub/local_models.ts";
import { addGenOptions, type GenOptions, pictureRequest, runOptions } from "./gen_options.ts";
import { interruptSignal } from "./interrupt.ts";
import { describePlan, MemoryBudgetError, planRun } from "./memory_plan.ts";
import { writeLine } from "./progress.ts";

/** Makes the command. */
export function planCommand(): Command {
  const command = new Command("plan")
    .description(
      "Tells how much memory a run takes, stage by stage, and what is chosen to stay within --max-memory.",
    )
    .argument("[prompts...]", "as for gen");
  return addGenOptions(command, DEFAULT_MODEL).action(plan);
}

async function plan(prompts: string[], options: GenOptions): Promise<void> {
  const request = pictureRequest(prompts, options);
  // Of the weights a plan reads the headers alone. The standard output is the plan's.
  const models = new LocalModels({ ...runOptions({ ...options, json: false }), fetches: false });
  const planned = await planRun(request, options, models, interruptSignal());
  if (options.json) writeLine(stdout, JSON.stringify(planned));
  else for (const line of describePlan(planned)) writeLine(stdout, line);
  if (!planned.fits) throw new MemoryBudgetError("No plan fits into the memory that is allowed");
}
