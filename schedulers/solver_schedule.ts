// This module is browser compatible.

/**
 * The timesteps and noise levels of the exponential solvers.
 *
 * Source: diffusers `set_timesteps` of `scheduling_dpmsolver_multistep.py`, `scheduling_dpmsolver_singlestep.py`,
 * `scheduling_deis_multistep.py` and `scheduling_unipc_multistep.py`.
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

/** What is needed to lay out a solver's noise levels. */
export interface SolverScheduleConfig extends SigmaSpacingConfig, FlowConfig {
  /** Whether noise levels are even in log-SNR. */
  readonly use_lu_lambdas?: boolean | null;
  /** Whether the sample is walked along a flow. */
  readonly use_flow_sigmas: boolean | null;
}

/** Where a run goes. */
export interface SolverSchedule {
  /** Integer timesteps. */
  readonly timesteps: number[];
  /** The noise level of each, float32. */
  readonly sigmas: number[];
}

/** How a run is laid out. */
export interface SolverRun {
  /** Timesteps spaced evenly, for where noise levels follow from them. */
  readonly timesteps: readonly number[];
  /** Number of noise levels, where they are spaced by themselves. */
  readonly steps: number;
  /** How far a flow's noise levels are shifted. */
  readonly mu: number | undefined;
  /** Whether timesteps of Karras' and Lu's noise levels are cut and not rounded. */
  readonly cut?: boolean;
}

/**
 * Lays out the noise levels of a run but the last one, where the last step leads.
 *
 * @param config How noise levels are spaced.
 * @param training The noise levels of training.
 * @param run What is laid out.
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
