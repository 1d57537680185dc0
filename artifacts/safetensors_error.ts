// This module is browser compatible.

/**
 * The error for a safetensors file that breaks the format's rules.
 *
 * @module
 */

import { stringify } from "lossless-json";
import { FormatError } from "../errors/pixstage_error.ts";

const LONGEST_VALUE = 120;

/** A file is not valid safetensors. The message names the file, the invalid part, and its value. */
export class SafetensorsError extends FormatError {
  override name = "SafetensorsError";
  /** The file, as the caller named it. */
  readonly file: string;
  /** The invalid part of the file, e.g. `header length` or `data_offsets of tensor "a"`. */
  readonly part: string;
  /** The invalid value. */
  readonly value: string;

  /**
   * @param file The file, as the caller named it.
   * @param part The invalid part of the file.
   * @param must What it must be.
   * @param value What it is. Long values are truncated.
   * @param options The underlying error.
   */
  constructor(file: string, part: string, must: string, value: unknown, options?: ErrorOptions) {
    const text = describe(value);
    super(
      `Cannot read ${JSON.stringify(file)} as safetensors: ${part} must ${must}; found ${text}`,
      { ...options, details: { file, part, value: text } },
    );
    this.file = file;
    this.part = part;
    this.value = text;
  }

  /**
   * Returns the error for a file of another format.
   *
   * @param file The file, as the caller named it.
   * @param format Its format, e.g. `a PNG picture`.
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
    // Writing needs more stack than parsing. A value that could just be parsed can be nested too deeply to be
    // written.
    if (error instanceof RangeError) return "a value that is nested deeply";
    throw error;
  }
}
