/**
 * Runs in which the last bit of a number changes the outcome: next to pure noise, and at timesteps truncated
 * or rounded from noise levels.
 *
 * @module
 */

import type { JsonObject } from "../../artifacts/artifact.ts";
import { alphasCumprod, type BetaConfig } from "../../schedulers/betas.ts";
import { allSchedulers } from "../../schedulers/catalogue.ts";
import { createScheduler, type Scheduler } from "../../schedulers/mod.ts";
import { timestepOfSigma } from "../../schedulers/sigma_spacing.ts";
import { trainingSchedule } from "../../schedulers/training_schedule.ts";

/** Options that space noise levels directly, of which a schedule takes one. */
export const SPACINGS = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"];
const FRACTIONAL_TIMESTEP_LIMIT = 0.01;

interface Run {
  readonly name: string;
  readonly config: JsonObject;
  readonly run: JsonObject;
}

/** A few units in the last place of 1 in float32. */
const FEW_LAST_BITS = 2 ** -20;
/**
 * Largest distance of a fractional timestep from the edge. One bit of a noise level moves it by less than a
 * hundredth of this.
 */
const EDGE = 1e-3;

/**
 * Returns whether some step takes the square root of a difference of two numbers that are equal except for a
 * few bits.
 * DDIM with an eta of 1 leaves `1 - next - deviation²` of the noise, which is about `level (1 - next)² /
 * next`;
 * ancestral steps leave `next² - up²`, which is about `next⁴ / level²`.
 */
export function isNextToPureNoise({ name, config, run }: Run): boolean {
  const { timesteps, sigmas = [] } = createScheduler(name, config, run);
  switch (name) {
    case "DDIMScheduler": {
      if (run["eta"] !== 1) return false;
      const alphas = alphasCumprod(parsed(name, config));
      return timesteps.some((timestep, index) => {
        const next = timesteps[index + 1];
        return next !== undefined &&
          alphas[timestep]! * (1 - alphas[next]!) ** 2 / alphas[next]! < FEW_LAST_BITS;
      });
    }
    case "EulerAncestralDiscreteScheduler":
    case "KDPM2AncestralDiscreteScheduler":
      return sigmas.some((sigma, index) => {
        const next = sigmas[index + 1] ?? 0;
        return next > 0 && (next / sigma) ** 2 < FEW_LAST_BITS;
      });
    default:
      return false;
  }
}

/**
 * Returns whether whole timesteps only differ by 1, and only if the noise level is at the edge between them.
 *
 * @param run The run.
 * @param scheduler The run's schedule in pixstage.
 * @param theirs The timesteps of diffusers.
 */
export function decidesTimestep(run: Run, scheduler: Scheduler, theirs: readonly number[]): boolean {
  const { timesteps, sigmas = [] } = scheduler;
  const { logSigmas } = trainingSchedule(parsed(run.name, run.config));
  return timesteps.length === theirs.length && timesteps.every((timestep, index) => {
    if (timestep === theirs[index]) return true;
    const fractional = timestepOfSigma(sigmas[index]!, logSigmas);
    const edges = [Math.round(fractional), Math.floor(fractional) + 0.5];
    return Math.abs(timestep - theirs[index]!) === 1 &&
      edges.some((edge) => Math.abs(fractional - edge) < EDGE);
  });
}

/**
 * Returns whether the last bit of a noise level can decide a timestep: levels are spaced directly, and one is
 * at the edge between two whole timesteps.
 *
 * @param run The run.
 * @param scheduler The run's schedule in pixstage.
 */
export function canDecideTimestep(run: Run, scheduler: Scheduler): boolean {
  const { timesteps } = scheduler;
  return [...SPACINGS, "use_lu_lambdas"].some((spacing) => run.config[spacing] === true) &&
    timesteps.some((timestep, at) =>
      [-1, 1].some((off) => decidesTimestep(run, scheduler, timesteps.with(at, timestep + off)))
    );
}

/** Rounding error of six operations in a difference of squares, as a fraction of the larger square. */
const ROUNDED_SQUARES = 2 ** -20;

/**
 * Returns whether timesteps differ only at the halfway points of ancestral steps, and only within the
 * rounding error. Such a level is the logarithmic mean of a step's start and of the square root of `next² -
 * up²`, about `next⁴ / level²`.
 *
 * @param run The run.
 * @param scheduler The run's schedule in pixstage.
 * @param theirs The timesteps of diffusers.
 */
export function isHalfwayOfRounding(run: Run, scheduler: Scheduler, theirs: readonly number[]): boolean {
  const { name, timesteps, sigmas = [] } = scheduler;
  if (name !== "KDPM2AncestralDiscreteScheduler" || timesteps.length !== theirs.length) return false;
  const { logSigmas } = trainingSchedule(parsed(run.name, run.config));
  return theirs.every((timestep, call) => {
    if (call % 2 === 0) return Math.abs(timestep - timesteps[call]!) <= FRACTIONAL_TIMESTEP_LIMIT;
    const [low, high] = halfwayTimesteps(sigmas[call - 1]!, sigmas[call]!, logSigmas);
    return timestep >= low! - FRACTIONAL_TIMESTEP_LIMIT && timestep <= high! + FRACTIONAL_TIMESTEP_LIMIT;
  });
}

/** Returns whether rounding alone moves a timestep halfway down an ancestral step by more than its limit. */
export function isHalfwayRounded({ name, config }: Run, { sigmas = [] }: Scheduler): boolean {
  if (name !== "KDPM2AncestralDiscreteScheduler") return false;
  const { logSigmas } = trainingSchedule(parsed(name, config));
  return sigmas.some((next, call) => {
    if (call % 2 === 0 || next === 0) return false;
    const [low, high] = halfwayTimesteps(sigmas[call - 1]!, next, logSigmas);
    return high! - low! > FRACTIONAL_TIMESTEP_LIMIT;
  });
}

/** Returns the lowest and the highest timestep that rounding allows halfway down an ancestral step. */
function halfwayTimesteps(level: number, next: number, logSigmas: Float32Array): number[] {
  return [-ROUNDED_SQUARES, ROUNDED_SQUARES].map((off) => {
    const down = next * Math.sqrt(Math.max((next / level) ** 2 + off, 0));
    return timestepOfSigma(Math.sqrt(level * down), logSigmas);
  });
}

function parsed(name: string, config: JsonObject): BetaConfig {
  const definition = allSchedulers().find((scheduler) => scheduler.name === name)!;
  return definition.parse(config) as unknown as BetaConfig;
}
