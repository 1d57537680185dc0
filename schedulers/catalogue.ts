// This module is browser compatible.

/**
 * The catalogue of schedulers and the names that users can give them.
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

/** Suffixes of short names that select a spacing of sigmas. */
const SPACINGS = {
  karras: "use_karras_sigmas",
  exponential: "use_exponential_sigmas",
  beta: "use_beta_sigmas",
} as const;

/** A scheduler together with the options that its name implies. */
export interface NamedScheduler {
  /** The scheduler. */
  readonly definition: SchedulerDefinition;
  /** The options that the name implies. */
  readonly preset: JsonObject;
}

const catalogue: SchedulerDefinition[] = [];
const byName = new Map<string, NamedScheduler>();

/**
 * Registers a scheduler. Registering the same one again has no effect.
 *
 * @param definition The scheduler, as returned by `defineScheduler`.
 * @throws {InputError} if another scheduler already uses one of its names.
 */
export function registerScheduler(definition: SchedulerDefinition): void {
  if (catalogue.includes(definition)) return;
  const names = [[definition.name, {}] as const, ...Object.entries(definition.shortNames)];
  const taken = names.find(([name]) => byName.has(normalized(name)));
  if (taken) {
    throw new InputError(
      "invalid_value",
      `Cannot register the scheduler ${definition.name}: another scheduler already uses the name "${
        taken[0]
      }"`,
    );
  }
  catalogue.push(definition);
  for (const [name, preset] of names) byName.set(normalized(name), { definition, preset });
}

BUILT_IN.forEach(registerScheduler);

/** Maximum number of characters of a name that are compared. No scheduler has a name as long. */
const LONGEST_NAME = 1000;

/** Returns every scheduler in the order of registration. */
export function allSchedulers(): readonly SchedulerDefinition[] {
  return catalogue;
}

/**
 * Finds a scheduler by its diffusers class name or by a short name. Letter case, spaces, `_` and `-` are
 * ignored, and `dpmpp` is the same as `dpm++`. The suffix `karras`, `exponential` or `beta` selects that
 * spacing of sigmas.
 *
 * @param name For example `DPMSolverMultistepScheduler`, `euler_a`, `DPM++ 2M Karras`.
 * @throws {UnknownSchedulerError} if no scheduler has that name.
 */
export function findScheduler(name: string): NamedScheduler {
  const key = normalized(name.slice(0, LONGEST_NAME));
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
