// This module is browser compatible.

/**
 * What is thrown for a safetensors file that breaks the format's rules.
 *
 * @module
 */

import { stringify } from "lossless-json";
import { FormatError } from "../errors/pixstage_error.ts";

const LONGEST_VALUE = 120;

/** A file that is not valid safetensors: says which file, which field of it, and what stands there. */
export class SafetensorsError extends FormatError {
  override name = "SafetensorsError";
  /** The file, as the caller named it. */
  readonly file: string;
  /** The part of the file that is wrong: `header length`, `data_offsets of tensor "a"`. */
  readonly part: string;
  /** What stands there. */
  readonly value: string;

  /**
   * @param file The file, as the caller named it.
   * @param part The part of the file that is wrong.
   * @param must What it must be.
   * @param value What it is; long values are cut.
   * @param options The error behind this one.
   */
  constructor(file: string, part: string, must: string, value: unknown, options?: ErrorOptions) {
    const text = describe(value);
    super(
      `Cannot read ${JSON.stringify(file)} as safetensors as ${part} must ${must}: current value is ${text}`,
      { ...options, details: { file, part, value: text } },
    );
    this.file = file;
    this.part = part;
    this.value = text;
  }

  /**
   * A file of another format.
   *
   * @param file The file, as the caller named it.
   * @param format What it is: `a PNG picture`.
   */
  static otherFormat(file: string, format: string): SafetensorsError {
    return new SafetensorsError(file, "the file", "be a safetensors file", format);
  }
}

function describe(value: unknown): string {
  const text = written(value);
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}

function written(value: unknown): string {
  try {
    return stringify(value) ?? "missing";
  } catch (error) {
    // Writing takes more of the stack than parsing: what could just be parsed may be too deep to be written.
    if (error instanceof RangeError) return "a value that is nested deeply";
    throw error;
  }
}
