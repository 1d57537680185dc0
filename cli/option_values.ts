/**
 * Parsers of option values. What they refuse is a usage error that says what is allowed.
 *
 * @module
 */

import { InvalidArgumentError } from "commander";
import { InputError } from "../errors/pixstage_error.ts";
import { seed64 } from "../random/seed.ts";
import { type Device, deviceSchema } from "../runtime/device.ts";

/** A whole number of at least `least`, and at most `most`. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    const bounds = most < Number.MAX_SAFE_INTEGER ? `from ${least} to ${most}` : `of at least ${least}`;
    throw new InvalidArgumentError(`It must be a whole number ${bounds}.`);
  };
}

/** A device: `cpu`, `webgpu`, `cuda`, or one of several NVIDIA GPUs, such as `cuda:1`. */
export function device(text: string): Device {
  const { data } = deviceSchema.safeParse(text);
  if (data !== undefined) return data;
  throw new InvalidArgumentError("It must be cpu, webgpu, cuda, or cuda:1 for the second NVIDIA GPU.");
}

/** Devices, with commas between them. */
export function devices(text: string): Device[] {
  return [...new Set(text.split(",").map(device))];
}

/** A number of at least 0. */
export function amount(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError("It must be a number of at least 0.");
}

/** A number. */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("It must be a number.");
}

/**
 * What a parser from elsewhere reads.
 *
 * @param parse Reads it; what it refuses by an {@linkcode InputError} is a usage error.
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
 * A size in bytes.
 *
 * @param parse Reads it, such as `diskSize`.
 */
export function byteSize(parse: (text: string) => number): (text: string) => number {
  return parsedBy(parse);
}

/** Numbers of at least 0, with commas between them. */
export function amounts(text: string): number[] {
  return text.split(",").map(amount);
}

/** `START,END`, each from 0 to 1: a part of the steps. */
export function interval(text: string): [start: number, end: number] {
  const [start, end, ...others] = text.split(",").map(amount);
  if (start !== undefined && end !== undefined && others.length === 0 && start <= end && end <= 1) {
    return [start, end];
  }
  throw new InvalidArgumentError("It must be START,END with 0 ≤ START ≤ END ≤ 1.");
}

/** Texts of an option that may be repeated. */
export function texts(text: string, gathered: readonly string[] = []): string[] {
  return [...gathered, text];
}

/** Seeds, with commas between them; `random` is drawn anew. */
export function seeds(text: string): string[] {
  return text.split(",").map((part) => {
    if (part === "random") return String(crypto.getRandomValues(new Uint32Array(1))[0]);
    if (!/^-?\d+$/.test(part)) {
      throw new InvalidArgumentError('It must be whole numbers with commas between them, or "random".');
    }
    parsedBy((text) => seed64(BigInt(text)))(part);
    return part;
  });
}

/**
 * `KEY=VALUE`, the value in JSON where it is JSON and text otherwise; gathered over several options. Refuses the
 * name `__proto__` in keys and values, which schemas of records drop.
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
  throw new InvalidArgumentError("Nothing can have the name __proto__.");
}

const PYTHON_VALUES: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["True", true],
  ["False", false],
  ["None", null],
]);

/** The value of a JSON text; the text itself where it is none. Python's True, False and None are understood. */
function jsonOrText(text: string): unknown {
  if (PYTHON_VALUES.has(text)) return PYTHON_VALUES.get(text);
  try {
    return JSON.parse(text, requireUsableName);
  } catch (error) {
    if (error instanceof InvalidArgumentError) throw error;
    return text;
  }
}
