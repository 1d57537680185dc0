/**
 * Replaces names of fields in errors by names of options: stages and schedulers know fields and parameters,
 * users of the command line know options.
 *
 * @module
 */

import type { Command } from "commander";
import type { PixstageError } from "../errors/pixstage_error.ts";

/** Options whose names differ from those of their fields. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  tiling: "--vae-tiling",
  tileSize: "--vae-tile-size",
  tileOverlap: "--vae-tile-overlap",
  schedulerOptions: "--scheduler-option",
  imagesPerPrompt: "--batch-count",
  loras: "--lora",
  seeds: "--seed",
  prompts: "the prompt",
  noise: "--init-noise",
  denoisingEnd: "--second-transformer-from",
};

/** Matches names of fields that cannot be English words. */
const FIELD = /(?<![\w".-])[a-z]+(?:[A-Z][a-z]+)+(?![\w".])/g;

/** Returns the option that sets a field of a request, e.g. `--guidance-scale`. */
export function optionOf(field: string): string {
  const other = Object.hasOwn(OTHER_NAMES, field) ? OTHER_NAMES[field] : undefined;
  return other ?? `--${field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * Returns the message of an error, with names of fields replaced by the names of the options that set them.
 *
 * @param error The error.
 * @param command The command that failed.
 * @returns The message. It names the option at fault if the error has a field and the user gave the option of
 * that field.
 */
export function describeError(error: PixstageError, command: Command): string {
  const message = nameOptions(error.message, command);
  const field = fieldOf(error);
  if (field === undefined) return message;
  const name = optionOf(field);
  if (!hasOption(command, name) || message.includes(name)) return message;
  if (message.startsWith(`${field} `)) return `${name}${message.slice(field.length)}`;
  return wasGiven(command, name) ? `${name}: ${message}` : message;
}

/** Replaces names of fields by the names of the command's options that set them. */
export function nameOptions(message: string, command: Command): string {
  return message.replaceAll(FIELD, (field) => hasOption(command, optionOf(field)) ? optionOf(field) : field);
}

function hasOption(command: Command, name: string): boolean {
  return command.options.some(({ long }) => long === name);
}

/** Returns the last segment of the path of the field at fault. */
function fieldOf({ field, details }: PixstageError): string | undefined {
  if (typeof details?.["option"] === "string") return "schedulerOptions";
  return field?.split(".").findLast((part) => !/^\d+$/.test(part));
}

function wasGiven(command: Command, name: string): boolean {
  const option = command.options.find(({ long }) => long === name);
  return option !== undefined && command.getOptionValueSource(option.attributeName()) === "cli";
}
