/**
 * Reads the options of the two runs of `compare`, and refuses runs whose results cannot be compared.
 *
 * @module
 */

import type { Command } from "commander";
import { genCommand } from "./gen.ts";
import type { GenOptions } from "./gen_options.ts";
import { checkBeginning, pictureRequest } from "./gen_request.ts";
import { optionOf } from "./name_option.ts";
import { argumentsOf, type OptionSetting, optionSetting, refusing } from "./option_list.ts";
import { pathOrName } from "./path_or_name.ts";
import { allPrompts } from "./prompts_file.ts";
import { UsageError } from "./usage_error.ts";

/** The options of `compare` that hold options of `gen`. */
export interface ComparedOptions {
  readonly model: string;
  readonly set: string;
  readonly a: string;
  readonly b: string;
}

/** The options of `gen` that decide what `compare` gets from a run. It sets them itself. */
const OWN_OPTIONS = [
  "saveEmbeds",
  "saveLatents",
  "output",
  "outputFormat",
  "until",
  "store",
  "checkpointEvery",
  "json",
  "quiet",
  "verbose",
];

/**
 * Returns the arguments of `gen` for both runs, without the prompt. Reads no weights.
 *
 * @param prompt What the picture shows.
 * @param options The options of both runs.
 * @throws {UsageError} if `gen` refuses the options, a run would not make exactly one picture, or the pictures
 * would differ in size.
 */
export async function comparedArguments(
  prompt: string,
  options: ComparedOptions,
): Promise<[a: string[], b: string[]]> {
  const set = settings("set", options.set);
  const model = `--model=${pathOrName(options.model)}`;
  const a = [model, ...argumentsOf([...set, ...settings("a", options.a)])];
  const b = [model, ...argumentsOf([...set, ...settings("b", options.b)])];
  checkSizes(await readRun("a", prompt, a), await readRun("b", prompt, b));
  return [a, b];
}

/** Parses `precision=int8,steps=2`. */
function settings(name: "set" | "a" | "b", text: string): OptionSetting[] {
  const command = quietGen();
  const parts = text.split(/,(?=[a-z-]+=)/).filter((part) => part !== "");
  const found = parts.map((part) => {
    const equals = part.indexOf("=");
    if (equals < 1) throw new UsageError(`Cannot read "${part}": it must be option=value`);
    const option = part.slice(0, equals);
    const setting = optionSetting(command, option, part.slice(equals + 1));
    if (setting !== undefined) return setting;
    throw new UsageError(`Cannot compare because gen has no option --${option}: correct --${name}`);
  });
  const own = found.find(({ option }) => OWN_OPTIONS.includes(option.attributeName()));
  if (own !== undefined) {
    throw new UsageError(
      `Cannot compare with ${
        optionOf(own.option.attributeName())
      } because compare sets this option itself: correct --${name}`,
    );
  }
  refusing(`--${name}: `, () => command.parseOptions(argumentsOf(found)));
  return found;
}

/** Parses the arguments of a run as `gen` does, and checks that they make one picture from the prompt. */
async function readRun(name: "a" | "b", prompt: string, args: readonly string[]): Promise<GenOptions> {
  const command = quietGen().action(() => {});
  refusing(`--${name}: `, () => command.parse([...args, "--", prompt], { from: "user" }));
  const options: GenOptions = command.opts();
  checkBeginning([prompt], options);
  const prompts = await allPrompts([prompt], options);
  const { imagesPerPrompt = 1 } = pictureRequest(prompts, options);
  if (prompts.length === 1 && imagesPerPrompt === 1 && (options.seed ?? []).length <= 1) return options;
  throw new UsageError(
    `Cannot compare because the run of --${name} makes several pictures: give one prompt, one seed, and no batch`,
  );
}

/** Throws if the pictures are known to differ in size. The sizes that checkpoints choose are known only later. */
function checkSizes(a: GenOptions, b: GenOptions): void {
  for (const [side, word] of [["width", "wide"], ["height", "high"]] as const) {
    if (a[side] === undefined || b[side] === undefined || a[side] === b[side]) continue;
    throw new UsageError(
      `Cannot compare pictures that are ${a[side]} and ${b[side]} pixels ${word}: give both the same ${side}`,
    );
  }
}

function quietGen(): Command {
  return genCommand().exitOverride().configureOutput({ writeErr: () => {} });
}
