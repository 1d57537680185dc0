/**
 * Differences between pixstage and diffusers' PixArt pipelines that docs/parity.md explains, each with a name.
 *
 * @module
 */

import { knownSchedulerDifference, type TraceSubject } from "./known_scheduler_differences.ts";
import type { PipelineCall } from "./pipeline_call.ts";

type What = Pick<TraceSubject, "ours" | "theirs" | "deviation" | "share">;

/** The name of the difference that explains the call, if one does. */
export function knownPipelineDifference(
  { checkpoint, scheduler, options = {}, call }: PipelineCall,
  what: What,
): string | undefined {
  const { timesteps, sigmas, eta } = call;
  const run = {
    ...(timesteps && { timesteps }),
    ...(sigmas && { sigmas }),
    ...(eta === undefined ? {} : { eta }),
  };
  const own = checkpoint === "tiny-lcm" ? "LCMScheduler" : "DPMSolverMultistepScheduler";
  const known = knownSchedulerDifference({ name: scheduler ?? own, config: options, run, ...what });
  if (known !== undefined) return known;
  if (options["variance_type"] && what.theirs?.startsWith("RuntimeError: The size of tensor")) {
    return "a scheduler's variance_type beside a pipeline that drops the variance: an exception in diffusers";
  }
  if (scheduler === "UniPCMultistepScheduler" && sigmas && what.theirs?.startsWith("TypeError")) {
    return "UniPC with sigmas, which a pipeline passes as a list: an exception in diffusers";
  }
  if (call.use_resolution_binning && what.deviation?.startsWith("shapes")) {
    return "a picture resized from a binned size: one pixel narrower or lower in diffusers";
  }
  return undefined;
}
