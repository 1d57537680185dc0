// This module is browser compatible.

/**
 * The timesteps and noise levels of UniPC.
 *
 * Source: diffusers `set_timesteps` of `schedulers/scheduling_unipc_multistep.py`.
 *
 * @module
 */

import type { BetaConfig } from "./betas.ts";
import { f32 } from "./float32.ts";
import { shiftSigma, shiftSigmaBy, stretchToTerminal, withoutFinalZero } from "./flow_sigmas.ts";
import { linspace } from "./ranges.ts";
import { muOf, type RunOptions, stepsOf } from "./run_options.ts";
import { ScheduleError } from "./scheduler_error.ts";
import { sigmaSpacingsIn, spacedSigmas } from "./sigma_spacing.ts";
import { type SolverSchedule, solverSchedule, type SolverScheduleConfig } from "./solver_schedule.ts";
import { intervalTimesteps, type SpacingConfig } from "./timestep_spacing.ts";
import { trainingSchedule } from "./training_schedule.ts";

const NAME = "UniPCMultistepScheduler";
/** The distance of a flow's first level from pure noise, where the signal's logarithm is infinite. */
const MARGIN = 1e-6;

/** The options that determine the schedule of a UniPC run. */
export interface UniPCScheduleConfig extends BetaConfig, SolverScheduleConfig, SpacingConfig {
  /** The noise level at which the last step ends. */
  readonly final_sigmas_type: "zero" | "sigma_min";
  /** The formula that applies the run's own shift. */
  readonly time_shift_type: "exponential" | "linear";
  /** The value to which the last level of a flow is stretched. */
  readonly shift_terminal: number | null;
}

/** Lays out a run; the last level is the one at which its last step ends. */
export function uniPCSchedule(config: UniPCScheduleConfig, run: RunOptions): SolverSchedule {
  const mu = muOf(NAME, config.use_dynamic_shifting, run);
  const spacings = sigmaSpacingsIn(config);
  if (run.sigmas && (!config.use_flow_sigmas || spacings.length > 0)) {
    throw new ScheduleError(
      `Cannot lay out ${NAME} by sigmas because it accepts them only with use_flow_sigmas and without ${
        spacings[0] ?? "other spacings"
      }`,
      "sigmas",
    );
  }
  const training = trainingSchedule(config);
  const given = run.sigmas && withoutFinalZero(run.sigmas);
  const steps = given?.length ?? stepsOf(run, config.num_train_timesteps);
  const isFlow = Boolean(config.use_flow_sigmas) && !config.use_exponential_sigmas && !config.use_beta_sigmas;
  const { timesteps, sigmas } = isFlow
    ? flowLevels(
      config,
      config.use_karras_sigmas
        ? karrasLevels(config, training.sigmas, steps)
        : shifted(config, given, steps, mu),
    )
    : solverSchedule(config, training, { timesteps: intervalTimesteps(config, steps), steps, mu: undefined });
  const lowest = isFlow || spacings.length > 0 ? sigmas[sigmas.length - 1]! : training.sigmas[0]!;
  return { timesteps, sigmas: [...sigmas, config.final_sigmas_type === "zero" ? 0 : lowest] };
}

function flowLevels(
  { num_train_timesteps: count }: UniPCScheduleConfig,
  levels: readonly number[],
): SolverSchedule {
  return { timesteps: levels.map((sigma) => Math.trunc(sigma * count)), sigmas: levels.map(f32) };
}

function karrasLevels(config: UniPCScheduleConfig, sigmas: Float32Array, steps: number): number[] {
  return spacedSigmas(config, sigmas[sigmas.length - 1]!, sigmas[0]!, steps)!.map((sigma) =>
    sigma / (sigma + 1)
  );
}

function shifted(
  config: UniPCScheduleConfig,
  given: readonly number[] | undefined,
  steps: number,
  mu: number | undefined,
): number[] {
  const levels = given ?? linspace(1, 1 / config.num_train_timesteps, steps + 1).slice(0, -1);
  const moved = levels.map((sigma) =>
    mu === undefined
      ? shiftSigma(sigma, config.flow_shift ?? 1)
      : shiftSigmaBy(sigma, mu, config.time_shift_type)
  );
  const stretched = config.shift_terminal === null ? moved : stretchToTerminal(moved, config.shift_terminal);
  if (Math.abs(stretched[0]! - 1) < MARGIN) stretched[0]! -= MARGIN;
  return stretched;
}
