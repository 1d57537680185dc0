/**
 * Differences between pixstage's schedulers and diffusers' that docs/parity.md explains, each with a name.
 *
 * @module
 */

import type { JsonObject } from "../../artifacts/artifact.ts";

/** A run whose results differ. */
export interface TraceSubject {
  readonly name: string;
  readonly config: JsonObject;
  readonly run: JsonObject;
  /** What diffusers raised, or `NaN` for values that are not finite. */
  readonly theirs?: string | undefined;
  /** How pixstage refused the run. */
  readonly ours?: string | undefined;
  /** What deviates, where both gave values. */
  readonly deviation?: string | undefined;
  /** The deviation as a share of its limit, where both gave values. */
  readonly share?: number | undefined;
  /** The timesteps of both, where both gave values. */
  readonly timesteps?: { readonly ours: readonly number[]; readonly theirs: ArrayLike<number> } | undefined;
}

interface KnownDifference {
  readonly name: string;
  readonly holds: (subject: TraceSubject) => boolean;
}

const UNIPC = "UniPCMultistepScheduler";
const SINGLESTEP = "DPMSolverSinglestepScheduler";
const SPACINGS = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"];

const DIFFERENCES: readonly KnownDifference[] = [
  { name: "refused by both", holds: ({ ours, theirs }) => ours !== undefined && theirs !== undefined },
  {
    name: "UniPC bh1 that ends without noise: NaN in diffusers",
    holds: ({ name, config, theirs }) =>
      name === UNIPC && theirs === "NaN" && config["solver_type"] === "bh1" && endsWithoutNoise(config),
  },
  {
    name: "UniPC without lower_order_final, ending without noise: refused here",
    holds: ({ name, config, ours }) =>
      name === UNIPC && ours !== undefined && config["lower_order_final"] === false &&
      endsWithoutNoise(config),
  },
  {
    name: "UniPC without predict_x0, ending without noise: refused here",
    holds: ({ name, config, ours }) =>
      name === UNIPC && ours !== undefined && config["predict_x0"] === false && endsWithoutNoise(config),
  },
  {
    name: "UniPC with sigmas and another spacing: refused here",
    holds: ({ name, config, run, ours }) =>
      name === UNIPC && ours !== undefined && "sigmas" in run && SPACINGS.some((spacing) => config[spacing]),
  },
  {
    name: "DPM-Solver sde-dpmsolver of order 3: refused here",
    holds: ({ config, ours }) =>
      ours !== undefined && config["algorithm_type"] === "sde-dpmsolver" && config["solver_order"] === 3,
  },
  {
    name: "DPM-Solver singlestep with timesteps and flow sigmas: refused here",
    holds: ({ name, config, run, ours }) =>
      name === SINGLESTEP && ours !== undefined && "timesteps" in run && config["use_flow_sigmas"] === true,
  },
  {
    name: "DPM-Solver singlestep of dpmsolver with thresholding: an exception in diffusers",
    holds: ({ name, config, theirs = "" }) =>
      name === SINGLESTEP && config["thresholding"] === true &&
      theirs.startsWith("RuntimeError: The size of tensor"),
  },
  {
    name: "LCM with timesteps and more original steps than training has: an exception in diffusers",
    holds: ({ name, run, theirs = "" }) =>
      name === "LCMScheduler" && "timesteps" in run && theirs.includes("`original_steps`"),
  },
  {
    name: "DDIM of eta 1 from next to pure noise: the root of what rounding leaves, NaN or not",
    holds: ({ name, run, theirs, deviation = "", share = 0 }) =>
      name === "DDIMScheduler" && run["eta"] === 1 &&
      (theirs === "NaN" || deviation.startsWith("sample") && share <= 50),
  },
  {
    name: "Euler ancestral from next to pure noise: the root of what rounding leaves, NaN or not",
    holds: ({ name, config, theirs, deviation = "", share = 0 }) =>
      name === "EulerAncestralDiscreteScheduler" &&
      (config["rescale_betas_zero_snr"] === true || config["beta_schedule"] === "squaredcos_cap_v2") &&
      (theirs === "NaN" || deviation.startsWith("sample") && share <= 50),
  },
  {
    name: "uniform log-SNR down to sigma_min: two levels a last bit apart, NaN in diffusers",
    holds: ({ config, theirs }) =>
      theirs === "NaN" && config["use_lu_lambdas"] === true && config["final_sigmas_type"] === "sigma_min",
  },
  {
    name: "trailing timesteps that do not divide evenly: one more in diffusers, -1",
    holds: ({ config, run, deviation }) => deviation !== undefined && countsPastStart(config, run),
  },
  {
    name: "a timestep cut or rounded from a noise level of training: one off",
    holds: ({ config, deviation, timesteps }) =>
      deviation === "timesteps" && [...SPACINGS, "use_lu_lambdas"].some((spacing) => config[spacing]) &&
      timesteps!.ours.every((timestep, index) => Math.abs(timestep - timesteps!.theirs[index]!) <= 1),
  },
];

/** The name of the difference that explains the run, if one does. */
export function knownSchedulerDifference(subject: TraceSubject): string | undefined {
  return DIFFERENCES.find(({ holds }) => holds(subject))?.name;
}

/** Whether numpy counts down once more than there are steps, as the last interval ends a last bit above 0. */
function countsPastStart(config: JsonObject, { steps }: JsonObject): boolean {
  const count = Number(config["num_train_timesteps"] ?? 1000);
  return config["timestep_spacing"] === "trailing" &&
    Math.ceil(count / (count / Number(steps))) > Number(steps);
}

function endsWithoutNoise(config: JsonObject): boolean {
  return config["final_sigmas_type"] !== "sigma_min";
}
