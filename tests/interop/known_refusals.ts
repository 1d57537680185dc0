/**
 * Reasons for which both sides refuse a run: pixstage's message and diffusers' exception (or its NaN), with
 * the condition in the configuration that causes both.
 *
 * @module
 */

import type { JsonObject } from "../../artifacts/artifact.ts";
import { SPACINGS } from "./rounding_edges.ts";

/** A run that both sides refuse. */
export interface RefusedRun {
  readonly name: string;
  readonly config: JsonObject;
  readonly run: JsonObject;
  /** `code: message` of pixstage. */
  readonly ours: string;
  /** `Class: message` of diffusers' exception, or `NaN`. */
  readonly theirs: string;
}

/** The configuration of a run. */
export type Configured = Pick<RefusedRun, "name" | "config" | "run">;

interface Reason {
  readonly holds: (run: Configured) => boolean;
  readonly ours: RegExp;
  readonly theirs: RegExp;
}

/** Custom timesteps together with an option that spaces noise levels. */
function timestepsBeside(option: string, theirs: RegExp): Reason {
  return {
    holds: ({ config, run }) => "timesteps" in run && config[option] === true,
    ours: new RegExp(
      `^invalid_schedule: Cannot lay out \\w+ by timesteps because ${option} must be off: it is on$`,
    ),
    theirs,
  };
}

/** Reasons that both detect before the first step. */
const REASONS: readonly Reason[] = [
  {
    holds: ({ config }) => SPACINGS.filter((spacing) => config[spacing]).length > 1,
    ours: /^invalid_scheduler_option: .* because use_\w+_sigmas must be off when use_\w+_sigmas is on: /,
    theirs: /^ValueError: Only one of `config.use_beta_sigmas`, /,
  },
  ...[...SPACINGS, "use_lu_lambdas"].map((option) =>
    timestepsBeside(
      option,
      new RegExp(`^ValueError: Cannot (set|use) .timesteps. (with|when) .config.${option} ?=`),
    )
  ),
  // The multistep solver then has no number of steps, but its flow sigmas need one.
  timestepsBeside(
    "use_flow_sigmas",
    /^TypeError: unsupported operand type\(s\) for \+: 'NoneType' and 'int'$/,
  ),
  {
    holds: ({ config, run }) => "timesteps" in run && config["timestep_type"] === "continuous",
    ours: /^invalid_schedule: .* by timesteps because timestep_type must be discrete: it is continuous$/,
    theirs: /^ValueError: Cannot set `timesteps` with `config.timestep_type = 'continuous'`/,
  },
  {
    holds: ({ config }) => isNoisePredicting(config) && config["final_sigmas_type"] !== "sigma_min",
    ours:
      /^invalid_scheduler_option: .* because final_sigmas_type must be sigma_min with algorithm_type (sde-)?dpmsolver: /,
    theirs: /^ValueError: `final_sigmas_type` zero is not supported for `algorithm_type` /,
  },
  {
    holds: ({ config }) =>
      config["prediction_type"] === "flow_prediction" &&
      (isNoisePredicting(config) || config["predict_x0"] === false),
    ours:
      /^invalid_scheduler_option: .* because prediction_type must be epsilon, sample or v_prediction with/,
    theirs: /^ValueError: prediction_type given as flow_prediction must be one of /,
  },
  {
    holds: ({ name, config }) =>
      name.startsWith("DPMSolverSinglestep") && config["algorithm_type"] === "sde-dpmsolver",
    ours:
      /^invalid_scheduler_option: .* because algorithm_type must be one of dpmsolver\+\+, dpmsolver, sde-dpmsolver\+\+: /,
    theirs: /^NotImplementedError: sde-dpmsolver is not implemented for /,
  },
  {
    holds: ({ config }) => config["algorithm_type"] === "sde-dpmsolver" && config["solver_order"] === 3,
    ours:
      /^invalid_scheduler_option: .* because solver_order must be 1 or 2 with algorithm_type sde-dpmsolver if a step /,
    theirs: /^UnboundLocalError: cannot access local variable 'x_t' /,
  },
  {
    holds: ({ config }) => typeof config["shift_terminal"] === "number" && config["use_flow_sigmas"] !== true,
    ours: /^invalid_scheduler_option: .* because shift_terminal must be null without use_flow_sigmas: /,
    theirs: /^ValueError: `shift_terminal` is only supported when `use_flow_sigmas=True`\.$/,
  },
  {
    holds: ({ name, config, run }) =>
      name === "PNDMScheduler" && config["skip_prk_steps"] !== true && Number(run["steps"]) < 4,
    ours:
      /^out_of_range: Cannot lay out PNDMScheduler because steps must be at least 4 without skip_prk_steps: /,
    theirs: /^ValueError: operands could not be broadcast together with shapes /,
  },
  {
    holds: ({ config }) =>
      Number(config["original_inference_steps"] ?? 50) > Number(config["num_train_timesteps"] ?? 1000),
    ours:
      /^out_of_range: Cannot lay out (LCM|TCD)Scheduler because original_inference_steps must be at most \d+: /,
    theirs: /^ValueError: `original_steps`: \d+ cannot be larger than `self.config.train_timesteps`: /,
  },
  {
    holds: ({ config }) => config["steps_offset"] !== 0,
    ours: /^out_of_range: Cannot lay out a schedule because timesteps must be integers from 0 to \d+: /,
    theirs: /^IndexError: index \d+ is out of bounds for dimension 0 with size \d+$/,
  },
  {
    holds: ({ config, run }) => config["use_exponential_sigmas"] === true && Number(run["mu"]) < 0,
    ours:
      /^invalid_schedule: Cannot space noise levels by use_exponential_sigmas because they must be above 0: /,
    theirs: /^ValueError: math domain error$/,
  },
  {
    holds: ({ config }) =>
      config["lower_order_final"] === false && config["final_sigmas_type"] !== "sigma_min",
    ours:
      /^invalid_scheduler_option: .* because lower_order_final must be true with final_sigmas_type zero and more than one step: /,
    theirs:
      /^(NaN$|_LinAlgError: torch.linalg.solve: The solver failed because the input matrix is singular\.)/,
  },
];

/** Reasons that diffusers does not check. It fails for another reason or returns values. */
const REASONS_HERE: readonly Reason[] = [
  {
    holds: ({ name, config, run }) =>
      name === "UniPCMultistepScheduler" && "sigmas" in run && SPACINGS.some((spacing) => config[spacing]),
    ours:
      /^invalid_schedule: .* by sigmas because it accepts them only with use_flow_sigmas and without use_\w+_sigmas$/,
    theirs: /(?!)/,
  },
];

/** Reasons that are only visible in the numbers. */
const NUMERIC_REASONS: readonly Reason[] = [
  {
    holds: () => true,
    ours: /^invalid_schedule: Cannot lay out \w+ because every timestep and noise level must be finite: /,
    theirs: /^NaN$/,
  },
  {
    holds: () => true,
    ours:
      /^invalid_schedule: Cannot lay out \w+ because step \d+ of \d+ would produce values that are not finite, whatever the model predicts: /,
    theirs: /^NaN$/,
  },
  {
    holds: ({ config }) => typeof config["shift_terminal"] === "number",
    ours:
      /^out_of_range: Cannot stretch noise levels to shift_terminal because the last one must be below 1: /,
    theirs: /^NaN$/,
  },
  {
    holds: ({ config }) => config["predict_x0"] === false && config["final_sigmas_type"] !== "sigma_min",
    ours: /^invalid_scheduler_option: .* because predict_x0 must be true with final_sigmas_type zero, /,
    theirs: /^NaN$/,
  },
];

/** Returns whether both refuse the run for the same reason, and the run meets its condition. */
export function isRefusedForOneReason(run: RefusedRun): boolean {
  return [...REASONS, ...NUMERIC_REASONS].some((reason) =>
    reason.holds(run) && reason.ours.test(run.ours) && reason.theirs.test(run.theirs)
  );
}

/**
 * Returns whether each side names a different reason, and the run meets both conditions. The sides check in
 * different orders.
 */
export function isRefusedForTwoReasons(run: RefusedRun): boolean {
  return namesReason(run, run.ours) && isRaisedForReason(run, run.theirs) && !isRefusedForOneReason(run);
}

/** Returns whether pixstage refuses the run for a reason whose condition the run meets. */
export function namesReason(run: Configured, ours: string): boolean {
  return [...REASONS, ...REASONS_HERE, ...NUMERIC_REASONS].some((reason) =>
    reason.holds(run) && reason.ours.test(ours)
  );
}

/** Returns whether diffusers raises an exception for a reason whose condition the run meets. */
export function isRaisedForReason(run: Configured, theirs: string): boolean {
  return REASONS.some((reason) => reason.holds(run) && reason.theirs.test(theirs));
}

function isNoisePredicting(config: JsonObject): boolean {
  return ["dpmsolver", "sde-dpmsolver", "noise_prediction"].includes(String(config["algorithm_type"]));
}
