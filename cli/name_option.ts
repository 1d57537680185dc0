/**
 * Names options in errors: stages and schedulers speak of fields and parameters, users of options.
 *
 * @module
 */

import type { Command } from "commander";
import type { PixstageError } from "../errors/pixstage_error.ts";

/** Options whose names are not those of their fields. */
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

/** Fields that no sentence holds as a word. */
const FIELD = /(?<![\w".-])[a-z]+(?:[A-Z][a-z]+)+(?![\w".])/g;

/** The option that a field of a request is from: `--guidance-scale`. */
export function optionOf(field: string): string {
  const other = Object.hasOwn(OTHER_NAMES, field) ? OTHER_NAMES[field] : undefined;
  return other ?? `--${field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * The message of an error, with the names of a command's options in the place of those of the fields that
 * they set.
 *
 * @param error The error.
 * @param command The command that failed.
 * @returns The message. It names the option at fault if the error tells its field and the user gave that
 * option.
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

/** Puts the names of a command's options in the place of those of the fields that they set. */
export function nameOptions(message: string, command: Command): string {
  return message.replaceAll(FIELD, (field) => hasOption(command, optionOf(field)) ? optionOf(field) : field);
}

function hasOption(command: Command, name: string): boolean {
  return command.options.some(({ long }) => long === name);
}

/** The field at fault, without the way that leads to it. */
function fieldOf({ field, details }: PixstageError): string | undefined {
  if (typeof details?.["option"] === "string") return "schedulerOptions";
  return field?.split(".").findLast((part) => !/^\d+$/.test(part));
}

function wasGiven(command: Command, name: string): boolean {
  const option = command.options.find(({ long }) => long === name);
  return option !== undefined && command.getOptionValueSource(option.attributeName()) === "cli";
}
