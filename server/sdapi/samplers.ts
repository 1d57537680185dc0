/**
 * The samplers and schedules of AUTOMATIC1111's web UI, and the schedulers that they map to.
 *
 * @module
 */

import { nearest } from "../../errors/nearest.ts";
import { findScheduler } from "../../schedulers/mod.ts";
import { ApiError } from "../api_error.ts";

/** A sampler of the web UI. */
export interface Sampler {
  /** The sampler's name, e.g. `DPM++ 2M`. */
  readonly name: string;
  /** The sampler's names in k-diffusion and other programs. */
  readonly aliases: readonly string[];
  /** The scheduler that it maps to. */
  readonly scheduler: string;
}

/**
 * The samplers, starting with the one that maps to PixArt's default scheduler. The web UI does not have the
 * last four.
 */
export const SAMPLERS: readonly Sampler[] = [
  { name: "DPM++ 2M", aliases: ["k_dpmpp_2m"], scheduler: "dpm++2m" },
  { name: "DPM++ SDE", aliases: ["k_dpmpp_sde"], scheduler: "dpm++sde" },
  { name: "DPM++ 2M SDE", aliases: ["k_dpmpp_2m_sde"], scheduler: "dpm++2m_sde" },
  { name: "DPM++ 3M SDE", aliases: ["k_dpmpp_3m_sde"], scheduler: "dpm++3m_sde" },
  { name: "Euler a", aliases: ["k_euler_a", "k_euler_ancestral"], scheduler: "euler_a" },
  { name: "Euler", aliases: ["k_euler"], scheduler: "euler" },
  { name: "LMS", aliases: ["k_lms"], scheduler: "lms" },
  { name: "Heun", aliases: ["k_heun"], scheduler: "heun" },
  { name: "DPM2", aliases: ["k_dpm_2"], scheduler: "dpm2" },
  { name: "DPM2 a", aliases: ["k_dpm_2_a", "k_dpm_2_ancestral"], scheduler: "dpm2_a" },
  { name: "DDIM", aliases: [], scheduler: "ddim" },
  { name: "PLMS", aliases: [], scheduler: "plms" },
  { name: "UniPC", aliases: [], scheduler: "unipc" },
  { name: "LCM", aliases: ["k_lcm"], scheduler: "lcm" },
  { name: "TCD", aliases: [], scheduler: "tcd" },
  { name: "DEIS", aliases: [], scheduler: "deis" },
  { name: "SA-Solver", aliases: [], scheduler: "sa_solver" },
  { name: "DDPM", aliases: [], scheduler: "ddpm" },
];

/** A noise schedule of the web UI. */
export interface Schedule {
  /** The schedule's name in requests, e.g. `karras`. */
  readonly name: string;
  /** The schedule's name for users, e.g. `Karras`. */
  readonly label: string;
}

/** The schedules. `automatic` stands for the schedule in the model's own configuration. */
export const SCHEDULES: readonly Schedule[] = [
  { name: "automatic", label: "Automatic" },
  { name: "karras", label: "Karras" },
  { name: "exponential", label: "Exponential" },
  { name: "beta", label: "Beta" },
];

/** The sampler that a request names. */
export interface ChosenSampler {
  /** The sampler's name. */
  readonly name: string;
  /** The scheduler that it maps to, followed by the schedule, e.g. `dpm++2m karras`. */
  readonly scheduler: string;
}

/**
 * Finds the sampler that a request names, as the web UI does: by its name or an alias, in any case, with or
 * without a schedule after it (`DPM++ 2M Karras`). Names of this server's schedulers work too.
 *
 * @param name The sampler's name.
 * @param schedule The schedule's name or label. By default, the schedule in the sampler's name applies.
 * @param param The request field that names the sampler.
 * @returns The sampler.
 * @throws {ApiError} 400 if there is no such sampler or schedule, or if they cannot be combined.
 */
export function findSampler(name: string, schedule: string | undefined, param: string): ChosenSampler {
  const given = name.trim().toLowerCase();
  const ending = SCHEDULES.find(({ name }) => given.endsWith(` ${name}`));
  const sampler = samplerOf(given) ?? samplerOf(ending ? given.slice(0, -ending.name.length).trim() : given);
  const isNamed = schedule !== undefined && schedule.trim() !== "";
  const chosen = isNamed ? findSchedule(schedule) : ending;
  const spacing = chosen && chosen.name !== "automatic" ? ` ${chosen.name}` : "";
  const scheduler = sampler ? sampler.scheduler + spacing : given + (isNamed ? spacing : "");
  try {
    findScheduler(scheduler);
  } catch {
    const names = SAMPLERS.map(({ name }) => name);
    const problem = sampler
      ? `the sampler ${sampler.name} does not support the schedule ${chosen?.label}`
      : `there is no sampler ${JSON.stringify(name.slice(0, 60))}. Did you mean "${nearest(name, names)}"?`;
    const hint = sampler ? "" : ` Available are ${names.join(", ")}`;
    throw new ApiError("unknown_scheduler", `${param}: ${problem}${hint}`, { param });
  }
  return {
    name: sampler ? sampler.name + (chosen && spacing ? ` ${chosen.label}` : "") : name.trim(),
    scheduler,
  };
}

/**
 * Checks a schedule that a request names without a sampler.
 *
 * @param schedule The schedule.
 * @returns The warning that it has no effect, or nothing if it is the automatic one.
 * @throws {ApiError} if there is no such schedule.
 */
export function warnOfLoneSchedule(schedule: string): string[] {
  if (schedule.trim() === "" || findSchedule(schedule).name === "automatic") return [];
  return ["Parameter scheduler was ignored because sampler_name names no sampler"];
}

function samplerOf(name: string): Sampler | undefined {
  return SAMPLERS.find((sampler) => [sampler.name.toLowerCase(), ...sampler.aliases].includes(name));
}

function findSchedule(given: string): Schedule {
  const found = SCHEDULES.find(({ name }) => name === given.trim().toLowerCase());
  if (found) return found;
  const labels = SCHEDULES.map(({ label }) => label).join(", ");
  const message = `scheduler: there is no schedule ${
    JSON.stringify(given.slice(0, 60))
  }. Available are ${labels}`;
  throw new ApiError("unknown_scheduler", message, { param: "scheduler" });
}
