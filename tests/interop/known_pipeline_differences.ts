/**
 * Differences between pixstage and diffusers' PixArt pipelines that docs/parity.md explains, each with a name.
 *
 * @module
 */

import type { JsonObject } from "../../artifacts/artifact.ts";
import { createScheduler, findScheduler } from "../../schedulers/mod.ts";
import { goldenPath } from "../goldens.ts";
import { knownSchedulerDifference } from "./known_scheduler_differences.ts";
import type { PipelineCall } from "./pipeline_call.ts";

/** What came of a call that is not equal. */
export interface PipelineDifference {
  /** How pixstage refused it. */
  readonly ours?: string | undefined;
  /** What diffusers raised, or `NaN`. */
  readonly theirs?: string | undefined;
  /** Shapes, where both gave pictures and these differ. */
  readonly shapes?: Shapes | undefined;
}

/** Shapes of both sides: `[pictures, channels, height, width]`. */
export interface Shapes {
  readonly latents: { readonly ours: readonly number[]; readonly theirs: readonly number[] };
  readonly image: { readonly ours: readonly number[]; readonly theirs: readonly number[] };
}

/** The name of the difference that explains the call, if one does. */
export function knownPipelineDifference(call: PipelineCall, what: PipelineDifference): string | undefined {
  const { ours, theirs } = what;
  const own = ownConfiguration(call.checkpoint);
  const name = call.scheduler ?? String(own["_class_name"]);
  const config = { ...own, ...call.options };
  const run = runOf(call);
  if (what.shapes) {
    return call.call.use_resolution_binning && isCutFromTheEnd(what.shapes)
      ? "a picture resized from a binned size: one pixel wide or high in diffusers"
      : undefined;
  }
  const known = knownSchedulerDifference({ name, config, run, ours, theirs });
  if (known !== undefined) return known;
  if (isRefusedOneStep(call, name, what)) return "refused by both, for the same reason";
  if (theirs === undefined || ours !== undefined) return undefined;
  if (
    config["variance_type"] &&
    /^RuntimeError: The size of tensor a \(4\) must match the size of tensor b \(3\)/.test(theirs)
  ) {
    return "a scheduler's variance_type beside a pipeline that drops the variance: an exception in diffusers";
  }
  if (
    name === "UniPCMultistepScheduler" && "sigmas" in run &&
    /^TypeError: can't multiply sequence by /.test(theirs)
  ) {
    return "UniPC with sigmas, which a pipeline passes as a list: an exception in diffusers";
  }
  if (
    /^IndexError: index (\d+) is out of bounds for dimension 0 with size \1$/.test(theirs) &&
    beginsTwice(name, config, run)
  ) {
    return "a first timestep that comes twice: the second is looked up in diffusers, and an exception at the end";
  }
  return undefined;
}

function runOf({ call }: PipelineCall): JsonObject {
  const { timesteps, sigmas, eta, num_inference_steps: steps } = call;
  return {
    ...(timesteps ? { timesteps } : sigmas ? { sigmas } : { steps }),
    ...(eta === undefined ? {} : { eta }),
  };
}

/** A run of one step with α's pipeline gives the denoised sample, which not every scheduler has. */
function isRefusedOneStep(
  { checkpoint }: PipelineCall,
  name: string,
  { ours = "", theirs }: PipelineDifference,
): boolean {
  return checkpoint !== "tiny-sigma" && !findScheduler(name).definition.givesDenoised &&
    /^invalid_value: Cannot denoise in one step as the scheduler must give the denoised sample: /.test(
      ours,
    ) &&
    theirs === "IndexError: tuple index out of range";
}

/** Whether diffusers resized a side to one pixel less than is cut out of it, and so cut from -1 on: one pixel. */
function isCutFromTheEnd({ latents, image }: Shapes): boolean {
  const rendered = latents.ours.map((side) => side * 8);
  const ratio = Math.max(...[2, 3].map((axis) => image.ours[axis]! / rendered[axis]!));
  return String(latents.ours) === String(latents.theirs) && image.ours.every((side, axis) => {
    const isShort = axis >= 2 && Math.trunc(rendered[axis]! * ratio) === side - 1;
    return image.theirs[axis] === (isShort ? 1 : side);
  });
}

/** Whether the first timestep comes twice: the pipelines of diffusers look it up and take the second. */
function beginsTwice(name: string, config: JsonObject, run: JsonObject): boolean {
  const [first, second] = createScheduler(name, config, run).timesteps;
  return first === second;
}

/** The scheduler's configuration of a checkpoint; Python writes infinity into its JSON. */
function ownConfiguration(checkpoint: string): JsonObject {
  const path = goldenPath(`checkpoints/${checkpoint}/scheduler/scheduler_config.json`);
  return JSON.parse(Deno.readTextFileSync(path).replaceAll("-Infinity", "null"));
}
