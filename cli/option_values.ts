/**
 * Parsers of option values. If a parser refuses a value, the usage error says which values are allowed.
 *
 * @module
 */

import { InvalidArgumentError } from "commander";
import { InputError } from "../errors/pixstage_error.ts";
import { seed64 } from "../random/seed.ts";
import { type Device, deviceSchema } from "../runtime/device.ts";

/** Returns a parser of whole numbers from `least` to `most`. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    const bounds = most < Number.MAX_SAFE_INTEGER ? `from ${least} to ${most}` : `of at least ${least}`;
    throw new InvalidArgumentError(`It must be a whole number ${bounds}.`);
  };
}

/** Parses a device: `cpu`, `webgpu`, `cuda`, `cuda-tf32`, or one of several NVIDIA GPUs, e.g. `cuda:1`. */
export function device(text: string): Device {
  const { data } = deviceSchema.safeParse(text);
  if (data !== undefined) return data;
  throw new InvalidArgumentError(
    "It must be cpu, webgpu, cuda, cuda-tf32, or cuda:1 for the second NVIDIA GPU.",
  );
}

/** Parses devices separated by commas. */
export function devices(text: string): Device[] {
  return [...new Set(text.split(",").map(device))];
}

/** Parses a number of at least 0. */
export function amount(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError("It must be a number of at least 0.");
}

/** Parses a number. */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("It must be a number.");
}

/**
 * Adapts a parser for use in an option.
 *
 * @param parse The parser. An {@linkcode InputError} that it throws becomes a usage error.
 */
export function parsedBy<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw new InvalidArgumentError(`${error.message}.`);
    }
  };
}

/**
 * Returns a parser of sizes in bytes.
 *
 * @param parse Parses the size, e.g. `diskSize`.
 */
export function byteSize(parse: (text: string) => number): (text: string) => number {
  return parsedBy(parse);
}

/** Parses numbers of at least 0, separated by commas. */
export function amounts(text: string): number[] {
  return text.split(",").map(amount);
}

/** Parses `START,END`, a range of the steps. Both are fractions from 0 to 1. */
export function interval(text: string): [start: number, end: number] {
  const [start, end, ...others] = text.split(",").map(amount);
  if (start !== undefined && end !== undefined && others.length === 0 && start <= end && end <= 1) {
    return [start, end];
  }
  throw new InvalidArgumentError("It must be START,END with 0 ≤ START ≤ END ≤ 1.");
}

/** Appends the text of a repeatable option to the earlier texts. */
export function texts(text: string, gathered: readonly string[] = []): string[] {
  return [...gathered, text];
}

/** Parses seeds separated by commas. `random` stands for a newly drawn seed. */
export function seeds(text: string): string[] {
  return text.split(",").map((part) => {
    if (part === "random") return String(crypto.getRandomValues(new Uint32Array(1))[0]);
    if (!/^-?\d+$/.test(part)) {
      throw new InvalidArgumentError('It must be whole numbers separated by commas, or "random".');
    }
    parsedBy((text) => seed64(BigInt(text)))(part);
    return part;
  });
}

/**
 * Parses `KEY=VALUE` and adds it to the values of earlier options. A value that is not JSON is text. Refuses
 * the name `__proto__` in keys and values, because schemas of records drop it.
 */
export function keyValue(text: string, gathered: Record<string, unknown> = {}): Record<string, unknown> {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("It must be KEY=VALUE.");
  const key = text.slice(0, equals);
  for (const name of key.split(".")) requireUsableName(name, undefined);
  return { ...gathered, [key]: jsonOrText(text.slice(equals + 1)) };
}

function requireUsableName(name: string, value: unknown): unknown {
  if (name !== "__proto__") return value;
  throw new InvalidArgumentError("It must not contain the name __proto__.");
}

const PYTHON_VALUES: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["True", true],
  ["False", false],
  ["None", null],
]);

/** Parses a JSON text; returns the text itself if it is not JSON. Accepts Python's True, False and None. */
function jsonOrText(text: string): unknown {
  if (PYTHON_VALUES.has(text)) return PYTHON_VALUES.get(text);
  try {
    return JSON.parse(text, requireUsableName);
  } catch (error) {
    if (error instanceof InvalidArgumentError) throw error;
    return text;
  }
}
