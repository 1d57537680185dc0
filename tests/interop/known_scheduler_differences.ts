/**
 * Differences between pixstage's schedulers and diffusers' that docs/parity.md explains, each with a name.
 *
 * @module
 */

import type { JsonObject } from "../../artifacts/artifact.ts";
import { createScheduler, type Scheduler } from "../../schedulers/mod.ts";
import { isRefusedForOneReason, isRefusedForTwoReasons } from "./known_refusals.ts";
import { decidesTimestep, isHalfwayOfRounding, isNextToPureNoise, SPACINGS } from "./rounding_edges.ts";

/** A run whose results differ. */
export interface TraceSubject {
  readonly name: string;
  readonly config: JsonObject;
  readonly run: JsonObject;
  /** The exception of diffusers, or `NaN` for values that are not finite. */
  readonly theirs?: string | undefined;
  /** The error with which pixstage refused the run. */
  readonly ours?: string | undefined;
  /** The deviation of the values, if both returned some. */
  readonly deviation?: Deviation | undefined;
}

/** The deviation between the values of both sides. */
export interface Deviation {
  /** The value with the largest deviation. */
  readonly what: string;
  /** The largest difference between samples, as a fraction of the largest value. */
  readonly samples: number;
  /** The largest deviation of any value except timesteps, as a fraction of its limit. */
  readonly besideTimesteps: number;
  /** The timesteps of diffusers. */
  readonly timesteps: readonly number[];
}

interface KnownDifference {
  readonly name: string;
  readonly holds: (subject: TraceSubject) => boolean;
}

const UNIPC = "UniPCMultistepScheduler";
const SINGLESTEP = "DPMSolverSinglestepScheduler";
/**
 * The square root of float32's rounding error at 1, with a margin for the size of the noise; see
 * docs/parity.md.
 */
const ROOT_OF_ROUNDING = 2 ** -10;
/**
 * Deviation of samples, as a fraction of the largest value, if only rounding decides the level at which a
 * slope is taken.
 */
const FREE_HALFWAY = 0.02;

const DIFFERENCES: readonly KnownDifference[] = [
  {
    name: "refused by both, for the same reason",
    holds: ({ ours, theirs, ...run }) =>
      ours !== undefined && theirs !== undefined && isRefusedForOneReason({ ...run, ours, theirs }),
  },
  {
    name: "refused by both, for one of two reasons each",
    holds: ({ ours, theirs, ...run }) =>
      ours !== undefined && theirs !== undefined && isRefusedForTwoReasons({ ...run, ours, theirs }),
  },
  {
    name: "UniPC bh1 that ends without noise: NaN in diffusers",
    holds: ({ name, config, ours, theirs }) =>
      name === UNIPC && ours === undefined && theirs === "NaN" && config["solver_type"] === "bh1" &&
      config["final_sigmas_type"] !== "sigma_min",
  },
  {
    name: "UniPC with sigmas and another spacing: refused here",
    holds: ({ name, config, run, ours = "", theirs }) =>
      name === UNIPC &&
      /^invalid_schedule: .* by sigmas because it accepts them only with use_flow_sigmas and without /.test(
        ours,
      ) &&
      (theirs === undefined || theirs === "NaN") && "sigmas" in run &&
      SPACINGS.some((spacing) => config[spacing]),
  },
  {
    name: "DPM-Solver singlestep with timesteps and flow sigmas: refused here",
    holds: ({ name, config, run, ours = "", theirs = "" }) =>
      name === SINGLESTEP &&
      /^invalid_schedule: .* by timesteps because use_flow_sigmas must be off: it is on$/.test(ours) &&
      (theirs === "" || isThresholdingFault(config, theirs)) && "timesteps" in run &&
      config["use_flow_sigmas"] === true,
  },
  {
    name: "DPM-Solver singlestep of dpmsolver with thresholding: an exception in diffusers",
    holds: ({ name, config, ours, theirs = "" }) =>
      name === SINGLESTEP && ours === undefined && isThresholdingFault(config, theirs),
  },
  {
    name: "LCM and TCD with timesteps and more original steps than training has: an exception in diffusers",
    holds: ({ name, config, run, ours, theirs = "" }) =>
      /^(LCM|TCD)Scheduler$/.test(name) && ours === undefined && "timesteps" in run &&
      Number(config["original_inference_steps"] ?? 50) > Number(config["num_train_timesteps"] ?? 1000) &&
      /^ValueError: `original_steps`: \d+ cannot be larger than /.test(theirs),
  },
  {
    name: "FlowMatch with Karras sigmas and a mu below 0: refused here",
    holds: ({ name, config, run, ours = "", theirs }) =>
      name === "FlowMatchEulerDiscreteScheduler" && theirs === undefined &&
      config["use_karras_sigmas"] === true &&
      Number(run["mu"]) < 0 &&
      /^invalid_schedule: Cannot space noise levels by use_karras_sigmas because they must be 0 or above: /
        .test(
          ours,
        ),
  },
  {
    name: "next to pure noise, the root of what rounding leaves: NaN in diffusers",
    holds: (subject) => subject.ours === undefined && subject.theirs === "NaN" && isNextToPureNoise(subject),
  },
  {
    name:
      "next to pure noise, the root of what rounding leaves: a part of 0.001 of the largest value at most",
    holds: (subject) =>
      subject.deviation !== undefined && subject.deviation.what.startsWith("sample") &&
      subject.deviation.samples <= ROOT_OF_ROUNDING && isNextToPureNoise(subject),
  },
  {
    name: "next to pure noise, the root of what rounding leaves: timesteps halfway down ancestral steps",
    holds: (subject) =>
      subject.deviation?.what === "timesteps" && subject.deviation.samples <= FREE_HALFWAY &&
      isHalfwayOfRounding(subject, layOut(subject), subject.deviation.timesteps),
  },
  {
    name: "SA-Solver of noise_prediction with thresholding: an exception in diffusers",
    holds: ({ name, config, ours, theirs = "" }) =>
      name === "SASolverScheduler" && ours === undefined && config["thresholding"] === true &&
      config["algorithm_type"] === "noise_prediction" &&
      theirs.startsWith(
        `RuntimeError: The size of tensor a (${config["num_train_timesteps"] ?? 1000}) must match `,
      ),
  },
  {
    name: "uniform log-SNR down to sigma_min: two levels a last bit apart, NaN in diffusers",
    holds: (subject) =>
      subject.theirs === "NaN" && subject.ours === undefined && subject.config["use_lu_lambdas"] === true &&
      subject.config["final_sigmas_type"] === "sigma_min" && endsALastBitApart(layOut(subject)),
  },
  {
    name: "trailing timesteps that do not divide evenly: one more in diffusers, -1",
    holds: (subject) =>
      subject.deviation !== undefined && subject.config["timestep_spacing"] === "trailing" &&
      isOneMore(layOut(subject).timesteps, subject.deviation.timesteps),
  },
  {
    name: "a timestep cut or rounded from a noise level of training: one off, and nothing else",
    holds: (subject) =>
      subject.deviation?.what === "timesteps" && subject.deviation.besideTimesteps <= 1 &&
      decidesTimestep(subject, layOut(subject), subject.deviation.timesteps),
  },
];

/** Returns the name of the known difference that explains the run, if there is one. */
export function knownSchedulerDifference(subject: TraceSubject): string | undefined {
  return DIFFERENCES.find(({ holds }) => holds(subject))?.name;
}

function layOut({ name, config, run }: TraceSubject): Scheduler {
  return createScheduler(name, config, run);
}

function isThresholdingFault(config: JsonObject, theirs: string): boolean {
  return config["thresholding"] === true && config["algorithm_type"] === "dpmsolver" &&
    theirs.startsWith("RuntimeError: The size of tensor a ");
}

/**
 * Returns whether numpy counted down once more because the last interval ends one bit above 0. Heun then has
 * two more calls.
 */
function isOneMore(ours: readonly number[], theirs: readonly number[]): boolean {
  const more = theirs.slice(ours.length);
  return more.length >= 1 && more.length <= 2 && more.every((timestep) => timestep === -1) &&
    ours.every((timestep, index) => timestep === theirs[index]);
}

function endsALastBitApart({ sigmas = [] }: Scheduler): boolean {
  const [last = 0, before = 0] = sigmas.slice(-2).reverse();
  return Math.abs(before - last) <= 2 ** -22 * last;
}
