/**
 * Differences between pixstage and diffusers' PixArt pipelines that docs/parity.md explains, each with a
 * name.
 *
 * @module
 */

import type { JsonObject } from "../../artifacts/artifact.ts";
import { createScheduler, findScheduler } from "../../schedulers/mod.ts";
import { goldenPath } from "../goldens.ts";
import { type Configured, isRaisedForReason, namesReason } from "./known_refusals.ts";
import { knownSchedulerDifference } from "./known_scheduler_differences.ts";
import type { PipelineCall } from "./pipeline_call.ts";
import { canDecideTimestep, isHalfwayRounded } from "./rounding_edges.ts";

/** The outcome of a call whose results differ. */
export interface PipelineDifference {
  /** The error with which pixstage refused the call. */
  readonly ours?: string | undefined;
  /** The exception of diffusers, or `NaN`. */
  readonly theirs?: string | undefined;
  /** The shapes, if both returned pictures of different shapes. */
  readonly shapes?: Shapes | undefined;
}

/** Shapes on both sides: `[pictures, channels, height, width]`. */
export interface Shapes {
  readonly latents: { readonly ours: readonly number[]; readonly theirs: readonly number[] };
  readonly image: { readonly ours: readonly number[]; readonly theirs: readonly number[] };
}

/** Returns the name of the known difference that explains the call, if there is one. */
export function knownPipelineDifference(call: PipelineCall, what: PipelineDifference): string | undefined {
  const { ours, theirs } = what;
  if (what.shapes) {
    return call.call.use_resolution_binning && isCutFromTheEnd(what.shapes)
      ? "a picture resized from a binned size: one pixel wide or high in diffusers"
      : undefined;
  }
  const own = ownConfiguration(call.checkpoint);
  const name = call.scheduler ?? String(own["_class_name"]);
  const run = { name, config: { ...own, ...call.options }, run: runOf(call), checkpoint: call.checkpoint };
  const known = knownSchedulerDifference({ ...run, ours, theirs });
  if (known !== undefined) return known;
  if (theirs === undefined) return ours === undefined ? decidedByRounding(run) : undefined;
  const fault = FAULTS.find((one) => one.theirs.test(theirs) && one.holds(run));
  if (ours === undefined) return fault && `${fault.name}: an exception in diffusers`;
  const isOneStep = ONE_STEP.test(ours) && ONE_STEP_FAULT.holds(run);
  if (isOneStep && fault === ONE_STEP_FAULT) return "refused by both, for the same reason";
  const isTwice = (isOneStep || namesReason(run, ours)) &&
    (fault !== undefined || isRaisedForReason(run, theirs));
  return isTwice ? "refused by both, for one of two reasons each" : undefined;
}

/** Returns the difference of a run in which the last bit of a noise level decides a timestep. */
function decidedByRounding(run: Configured): string | undefined {
  const scheduler = createScheduler(run.name, run.config, run.run);
  if (canDecideTimestep(run, scheduler)) {
    return "a timestep cut or rounded from a noise level of training, where the last bit decides";
  }
  return isHalfwayRounded(run, scheduler)
    ? "the root of what rounding leaves: timesteps halfway down ancestral steps"
    : undefined;
}

const ONE_STEP = /^invalid_value: Cannot denoise in one step: /;

/** Errors that diffusers' pipelines raise, in addition to those of their schedulers. */
interface PipelineFault {
  readonly name: string;
  readonly holds: (run: Configured & { readonly checkpoint: string }) => boolean;
  readonly theirs: RegExp;
}

/** A run of one step with α's pipeline returns the denoised sample, which some schedulers lack. */
const ONE_STEP_FAULT: PipelineFault = {
  name: "one step of a scheduler that does not give the denoised sample",
  holds: ({ checkpoint, name, run: { steps, timesteps, sigmas } }) =>
    checkpoint !== "tiny-sigma" && !findScheduler(name).definition.givesDenoised &&
    (steps === 1 || [timesteps, sigmas].some((list) => Array.isArray(list) && list.length === 1)),
  theirs: /^IndexError: tuple index out of range$/,
};

const FAULTS: readonly PipelineFault[] = [
  ONE_STEP_FAULT,
  {
    name: "a scheduler's variance_type beside a pipeline that drops the variance",
    holds: ({ config }) => Boolean(config["variance_type"]),
    theirs: /^RuntimeError: The size of tensor a \(4\) must match the size of tensor b \(3\) /,
  },
  {
    name: "UniPC with sigmas, which a pipeline passes as a list",
    holds: ({ name, run }) => name === "UniPCMultistepScheduler" && "sigmas" in run,
    theirs: /^TypeError: can't multiply sequence by non-int of type 'float'$/,
  },
  {
    name: "SA-Solver beside the algorithm of DPM-Solver that the checkpoint names",
    holds: ({ name, config }) =>
      name === "SASolverScheduler" && /^(sde-)?dpmsolver(\+\+)?$/.test(String(config["algorithm_type"])),
    theirs: /^NotImplementedError: (sde-)?dpmsolver(\+\+)? is not implemented for /,
  },
  {
    name: "a first timestep that occurs twice, of which the pipeline looks up the second",
    holds: ({ name, config, run }) => beginsTwice(name, config, run),
    theirs: /^(IndexError: index (\d+) is out of bounds for dimension 0 with size \2|AssertionError: |NaN)$/,
  },
];

function runOf({ call }: PipelineCall): JsonObject {
  const { timesteps, sigmas, eta, num_inference_steps: steps } = call;
  return {
    ...(timesteps ? { timesteps } : sigmas ? { sigmas } : { steps }),
    ...(eta === undefined ? {} : { eta }),
  };
}

/**
 * Returns whether diffusers resized a side to one pixel less than the crop, so that the crop starts at -1 and
 * has one pixel.
 */
function isCutFromTheEnd({ latents, image }: Shapes): boolean {
  const rendered = latents.ours.map((side) => side * 8);
  const ratio = Math.max(...[2, 3].map((axis) => image.ours[axis]! / rendered[axis]!));
  return String(latents.ours) === String(latents.theirs) && image.ours.every((side, axis) => {
    const isShort = axis >= 2 && Math.trunc(rendered[axis]! * ratio) === side - 1;
    return image.theirs[axis] === (isShort ? 1 : side);
  });
}

/** Returns whether the first timestep occurs twice. diffusers' pipelines look it up and find the second. */
function beginsTwice(name: string, config: JsonObject, run: JsonObject): boolean {
  const { timesteps: [first, ...others] } = createScheduler(name, config, run);
  return others.includes(first!);
}

/** Reads the scheduler configuration of a checkpoint. Python writes infinity into its JSON. */
function ownConfiguration(checkpoint: string): JsonObject {
  const path = goldenPath(`checkpoints/${checkpoint}/scheduler/scheduler_config.json`);
  return JSON.parse(Deno.readTextFileSync(path).replaceAll("-Infinity", "null"));
}
