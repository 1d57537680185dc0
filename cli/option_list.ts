/**
 * Reads options that users write as values of another option, such as `steps=2,wildcards=true`.
 *
 * @module
 */

import { type Command, CommanderError, type Option } from "commander";
import { UsageError } from "./usage_error.ts";

/** An option of a command, with the arguments that set it to a value. */
export interface OptionSetting {
  readonly option: Option;
  /** The arguments, or none for a flag that keeps its default. */
  readonly args: readonly string[];
}

/** Returns whether an option is a flag: one without a value. */
export function isFlag({ required, optional }: Option): boolean {
  return !required && !optional;
}

/**
 * Sets an option of a command. A flag takes `true` or `false`: `wildcards=true`, `clean-caption=false`, or
 * `no-clean-caption=true`.
 *
 * @param command The command.
 * @param name The option's long name, without dashes.
 * @param value The value, as the user gave it.
 * @returns The setting, or `undefined` if the command has no such option.
 * @throws {UsageError} if the value of a flag is neither `true` nor `false`.
 */
export function optionSetting(command: Command, name: string, value: string): OptionSetting | undefined {
  const named = (long: string): Option | undefined => command.options.find((option) => option.long === long);
  const exact = named(`--${name}`);
  if (exact !== undefined && !isFlag(exact)) return { option: exact, args: [`--${name}=${value}`] };
  const opposite = exact === undefined ? named(`--no-${name}`) : undefined;
  const option = exact ?? opposite;
  if (option === undefined) return undefined;
  if (value !== "true" && value !== "false") {
    throw new UsageError(
      `Cannot set --${name} to "${value}" because it is a flag: write ${name}=true or ${name}=false`,
    );
  }
  const isWritten = (value === "true") === (exact !== undefined);
  return { option, args: isWritten ? [option.long!] : [] };
}

/** Returns the arguments of settings. Of several settings of one flag, the last counts. */
export function argumentsOf(settings: readonly OptionSetting[]): string[] {
  const isLast = ({ option }: OptionSetting, index: number): boolean =>
    !settings.slice(index + 1).some((later) => later.option.attributeName() === option.attributeName());
  return settings.filter((setting, index) => !isFlag(setting.option) || isLast(setting, index))
    .flatMap(({ args }) => args);
}

/**
 * Calls a parser of commander.
 *
 * @param beginning The beginning of the message, such as `--a: `.
 * @param parse Calls the parser.
 * @throws {UsageError} if it refuses its arguments.
 */
export function refusing(beginning: string, parse: () => void): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw new UsageError(`${beginning}${error.message.replace(/^error: /, "")}`);
  }
}
