// This module is browser compatible.

/**
 * The timesteps and noise levels of the exponential solvers.
 *
 * Source: diffusers `set_timesteps` of `scheduling_dpmsolver_multistep.py`,
 * `scheduling_dpmsolver_singlestep.py`, `scheduling_deis_multistep.py` and `scheduling_unipc_multistep.py`.
 *
 * @module
 */

import { f32 } from "./float32.ts";
import { type FlowConfig, flowSchedule } from "./flow_sigmas.ts";
import { interpolate, roundHalfEven } from "./ranges.ts";
import {
  type SigmaSpacingConfig,
  spacedSigmas,
  timestepOfSigma,
  uniformLogSnrSigmas,
} from "./sigma_spacing.ts";
import type { TrainingSchedule } from "./training_schedule.ts";

/** The options that determine a solver's noise levels. */
export interface SolverScheduleConfig extends SigmaSpacingConfig, FlowConfig {
  /** Whether noise levels are spaced evenly in log-SNR. */
  readonly use_lu_lambdas?: boolean | null;
  /** Whether the solver follows a flow. */
  readonly use_flow_sigmas: boolean | null;
}

/** The schedule of a run. */
export interface SolverSchedule {
  /** Integer timesteps. */
  readonly timesteps: number[];
  /** The noise level of each timestep, float32. */
  readonly sigmas: number[];
}

/** The run to lay out. */
export interface SolverRun {
  /** Evenly spaced timesteps, for noise levels that follow from timesteps. */
  readonly timesteps: readonly number[];
  /** Number of noise levels, for noise levels that are spaced on their own. */
  readonly steps: number;
  /** The shift of a flow's noise levels. */
  readonly mu: number | undefined;
  /** Whether the timesteps of Karras' and Lu's noise levels are truncated instead of rounded. */
  readonly cut?: boolean;
}

/**
 * Lays out the noise levels of a run, except the level at which the last step ends.
 *
 * @param config How noise levels are spaced.
 * @param training The noise levels of training.
 * @param run The run to lay out.
 */
export function solverSchedule(
  config: SolverScheduleConfig,
  training: TrainingSchedule,
  { timesteps, steps, mu, cut = false }: SolverRun,
): SolverSchedule {
  const { sigmas, logSigmas } = training;
  const lu = Boolean(config.use_lu_lambdas && !config.use_karras_sigmas);
  const spaced = lu
    ? uniformLogSnrSigmas(logSigmas, steps)
    : spacedSigmas(config, sigmas[sigmas.length - 1]!, sigmas[0]!, steps);
  if (spaced) {
    const toInteger = (lu || config.use_karras_sigmas) && !cut ? roundHalfEven : Math.trunc;
    return {
      timesteps: spaced.map((sigma) => toInteger(timestepOfSigma(sigma, logSigmas))),
      sigmas: spaced.map(f32),
    };
  }
  if (config.use_flow_sigmas) {
    const flow = flowSchedule(config, steps, mu);
    return { timesteps: flow.timesteps.map(Math.trunc), sigmas: flow.sigmas.map(f32) };
  }
  return {
    timesteps: [...timesteps],
    sigmas: timesteps.map((timestep) => f32(interpolate(sigmas, timestep))),
  };
}
