// This module is browser compatible.

/**
 * Every scheduler there is, and how users call them.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { JsonObject } from "../artifacts/artifact.ts";
import { ddim } from "./ddim.ts";
import { ddpm } from "./ddpm.ts";
import type { SchedulerDefinition } from "./definition.ts";
import { deisMultistep } from "./deis_multistep.ts";
import { dpmSolverMultistep } from "./dpm_solver_multistep.ts";
import { dpmSolverSinglestep } from "./dpm_solver_singlestep.ts";
import { eulerAncestralDiscrete } from "./euler_ancestral_discrete.ts";
import { eulerDiscrete } from "./euler_discrete.ts";
import { flowMatchEulerDiscrete } from "./flow_match_euler_discrete.ts";
import { heunDiscrete } from "./heun_discrete.ts";
import { kdpm2AncestralDiscrete, kdpm2Discrete } from "./kdpm2_discrete.ts";
import { lcm } from "./lcm.ts";
import { lmsDiscrete } from "./lms_discrete.ts";
import { pndm } from "./pndm.ts";
import { saSolver } from "./sa_solver.ts";
import { tcd } from "./tcd.ts";
import { UnknownSchedulerError } from "./scheduler_error.ts";
import { uniPCMultistep } from "./unipc_multistep.ts";

/** The built-in schedulers. */
const BUILT_IN: readonly SchedulerDefinition[] = [
  dpmSolverMultistep,
  dpmSolverSinglestep,
  uniPCMultistep,
  deisMultistep,
  saSolver,
  eulerDiscrete,
  eulerAncestralDiscrete,
  heunDiscrete,
  kdpm2Discrete,
  kdpm2AncestralDiscrete,
  lmsDiscrete,
  ddim,
  ddpm,
  pndm,
  lcm,
  tcd,
  flowMatchEulerDiscrete,
];

/** Endings of users' names that ask for a spacing of sigmas. */
const SPACINGS = {
  karras: "use_karras_sigmas",
  exponential: "use_exponential_sigmas",
  beta: "use_beta_sigmas",
} as const;

/** A scheduler and the options that its name stands for. */
export interface NamedScheduler {
  /** The scheduler. */
  readonly definition: SchedulerDefinition;
  /** Options that the name says. */
  readonly preset: JsonObject;
}

const catalogue: SchedulerDefinition[] = [];
const byName = new Map<string, NamedScheduler>();

/**
 * Adds a scheduler. Adding the same one again does nothing.
 *
 * @param definition The scheduler, as `defineScheduler` gives it.
 * @throws {InputError} if another scheduler has one of its names.
 */
export function registerScheduler(definition: SchedulerDefinition): void {
  if (catalogue.includes(definition)) return;
  const names = [[definition.name, {}] as const, ...Object.entries(definition.shortNames)];
  const taken = names.find(([name]) => byName.has(normalized(name)));
  if (taken) {
    throw new InputError(
      "invalid_value",
      `Cannot add the scheduler ${definition.name}: another one is called "${taken[0]}"`,
    );
  }
  catalogue.push(definition);
  for (const [name, preset] of names) byName.set(normalized(name), { definition, preset });
}

BUILT_IN.forEach(registerScheduler);

/** Every scheduler, in the order in which they were added. */
export function allSchedulers(): readonly SchedulerDefinition[] {
  return catalogue;
}

/**
 * Finds a scheduler by diffusers' class name or by a user's name. Letter case, blanks, `_` and `-` do not matter, nor
 * does whether it says `dpmpp` or `dpm++`; an ending `karras`, `exponential` or `beta` asks for that spacing of sigmas.
 *
 * @param name For example `DPMSolverMultistepScheduler`, `euler_a`, `DPM++ 2M Karras`.
 * @throws {UnknownSchedulerError} if there is none of that name.
 */
export function findScheduler(name: string): NamedScheduler {
  const key = normalized(name);
  const found = byName.get(key);
  if (found) return found;
  for (const [ending, option] of Object.entries(SPACINGS)) {
    const base = key.endsWith(ending) ? byName.get(key.slice(0, -ending.length)) : undefined;
    if (base && option in base.definition.options.shape) {
      return { definition: base.definition, preset: { ...base.preset, [option]: true } };
    }
  }
  const names = catalogue.flatMap(({ name, shortNames }) => [name, ...Object.keys(shortNames)]);
  throw new UnknownSchedulerError(name, names);
}

function normalized(name: string): string {
  return name.toLowerCase().replaceAll(/[\s_-]/g, "").replace("dpmpp", "dpm++").replace(/scheduler$/, "");
}
