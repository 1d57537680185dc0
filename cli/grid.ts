/**
 * `grid`: generates pictures that differ in one or two options, and arranges them in one picture.
 *
 * @module
 */

import { Command } from "commander";
import type { Tensor } from "../artifacts/tensor.ts";
import { gridGraph } from "../graph/grid_graph.ts";
import type { RunResult } from "../graph/run_options.ts";
import { textToImage } from "../graph/text_to_image.ts";
import { DEFAULT_MODEL } from "../hub/local_models.ts";
import { encodePicture } from "../images/picture.ts";
import { pictureGrid } from "../images/picture_grid.ts";
import { toPixels } from "../images/pixels.ts";
import {
  addCaptionOptions,
  addDenoiseOptions,
  addImageOptions,
  addModelOptions,
  addPrecisionOption,
  addRunOptions,
  addWildcardsOption,
  type GenOptions,
} from "./gen_options.ts";
import { imageInputs, memoryOptions, pictureRequest, runOptions } from "./gen_request.ts";
import { genCommand } from "./gen.ts";
import { ignoredOptions } from "./ignored_options.ts";
import { interruptSignal } from "./interrupt.ts";
import { optionOf } from "./name_option.ts";
import { isFlag, optionSetting, refusing } from "./option_list.ts";
import { checkOutputs, writeOutput } from "./output.ts";
import { pictureFormat } from "./save_pictures.ts";
import { showRun } from "./show_run.ts";
import { addStoreOptions, openRun, type StoreOptions } from "./store_options.ts";
import { UsageError } from "./usage_error.ts";
import { userPath } from "./user_path.ts";

type GridOptions = GenOptions & StoreOptions & {
  readonly x: string;
  readonly y?: string;
  readonly output: string;
};

/** Maximum number of pictures in a grid. */
const MOST_PICTURES = 256;

/** One value of an axis. */
interface AxisValue {
  /** The label in the grid. */
  readonly label: string;
  /** The prompt, if the axis lists prompts. */
  readonly prompt?: string;
  /** The options that this value sets. */
  readonly options: Partial<GenOptions>;
  /** The arguments that set them. */
  readonly args: readonly string[];
}

/** Creates the `grid` command. */
export function gridCommand(): Command {
  const command = addAxisOptions(
    new Command("grid")
      .description(
        "Generates pictures that differ in one or two options, and arranges them in a labelled grid.",
      )
      .argument("<prompt>", "what the pictures show"),
  )
    .requiredOption(
      "--x <option=value,...>",
      "option of gen, or prompt, and one value per column; a flag has the values true and false",
    )
    .option("--y <option=value,...>", "option of gen, or prompt, and one value per row")
    .option("-o, --output <file>", "file for the grid; - for the standard output", "grid.png");
  return addStoreOptions(addRunOptions(command))
    .addHelpText(
      "after",
      '\nExample:\n  deno task grid "a castle" --x steps=4,8,20 --y scheduler=euler,dpm++2m -s 7',
    )
    .action(grid);
}

/** Adds the options that an axis can vary. */
export function addAxisOptions(command: Command): Command {
  const captioned = addWildcardsOption(addCaptionOptions(addModelOptions(command, DEFAULT_MODEL)));
  return addPrecisionOption(addDenoiseOptions(addImageOptions(captioned)));
}

async function grid(prompt: string, options: GridOptions, command: Command): Promise<void> {
  // 1. Refuse invalid options.
  const format = pictureFormat({ output: options.output });
  await checkOutputs([options.output], options);
  const columns = axisValues("x", options.x);
  const rows = options.y === undefined ? [{ label: "", options: {}, args: [] }] : axisValues("y", options.y);
  checkAxes(command, columns[0]!, rows[0]!);
  if (columns.length * rows.length > MOST_PICTURES) {
    throw new UsageError(
      `Cannot make a grid of ${columns.length} × ${rows.length} pictures: a grid has at most ${MOST_PICTURES}`,
      "x",
    );
  }

  // 2. Build one graph for all pictures. Work that several pictures share appears in it once.
  const cells = rows.flatMap((row) => columns.map((column) => cellGraph(prompt, options, row, column)));
  const { graph, outputs } = gridGraph(cells, "decode.image");

  // 3. Run it, and arrange the pictures.
  const signal = interruptSignal();
  const run = await openRun(options, runOptions(options));
  await showRun(graph, { ...run, ...memoryOptions(options) }, options, {
    signal,
    command,
    warnings: ignoredOptions(command),
    save: async (made) => {
      const pictures = rows.map((_row, y) =>
        columns.map((_column, x) => picture(made, outputs[y * columns.length + x]!))
      );
      const whole = pictureGrid(pictures, {
        columns: columns.map(({ label }) => label),
        rows: options.y === undefined ? undefined : rows.map(({ label }) => label),
      });
      const metadata = { prompt, x: options.x, ...(options.y === undefined ? {} : { y: options.y }) };
      return [await writeOutput(options.output, [await encodePicture(whole, { format, metadata })])];
    },
  });
}

/** Builds the graph of one picture. */
function cellGraph(prompt: string, options: GridOptions, ...axes: readonly AxisValue[]) {
  const changed = Object.assign({}, options, ...axes.map(({ options }) => options));
  const own = axes.find((axis) => axis.prompt !== undefined)?.prompt ?? prompt;
  const request = pictureRequest([own], changed);
  if ((request.imagesPerPrompt ?? 1) !== 1) {
    throw new UsageError(
      "Cannot make a grid because each cell holds one picture: give one seed, and no batch",
    );
  }
  return textToImage(request, {
    noiseFile: changed.initNoise && userPath(changed.initNoise),
    ...imageInputs(changed),
  });
}

function picture(made: RunResult, output: string) {
  const { artifact } = made.get(output)!;
  return toPixels(artifact.tensors["image"] as Tensor<"float32">)[0]!;
}

/** Parses `steps=4,8,20`. Each value is parsed as if it followed its option on the command line. */
function axisValues(axis: "x" | "y", text: string): AxisValue[] {
  const equals = text.indexOf("=");
  if (equals < 1) {
    throw new UsageError(
      `Cannot read --${axis}: it must be OPTION=VALUE,..., but is "${text}"`,
      axis,
    );
  }
  const name = text.slice(0, equals);
  const values = text.slice(equals + 1).split(",").map((value) => value.trim());
  if (values.includes("")) {
    throw new UsageError(
      `Cannot read --${axis} because a value is missing: current value is "${text}"`,
      axis,
    );
  }
  if (name === "prompt") {
    return values.map((value) => ({ label: value, prompt: value, options: {}, args: [] }));
  }
  return values.map((value) => ({
    label: `${name} ${value.replace(/^.*[/\\](?=.)/, "")}`,
    ...optionValue(axis, name, value),
  }));
}

/** Returns the options that one value of an axis sets. */
function optionValue(
  axis: "x" | "y",
  name: string,
  value: string,
): Pick<AxisValue, "options" | "args"> {
  const scratch = scratchCommand();
  const setting = optionSetting(scratch, name, value);
  if (setting === undefined) {
    const reason = optionSetting(genCommand(), name, "true") === undefined
      ? `gen has no option --${name}`
      : `--${name} cannot differ between its pictures`;
    throw new UsageError(`Cannot make a grid because ${reason}: correct --${axis}`, axis);
  }
  const { option, args } = setting;
  const key = option.attributeName();
  if (isFlag(option)) return { options: { [key]: (args.length > 0) !== option.negate }, args };
  refusing(`--${axis}: `, () => scratch.parseOptions([...args]));
  return { options: { [key]: scratch.getOptionValue(key) }, args };
}

/** Throws if an option of one axis would override that of the other, or contradicts another option. */
function checkAxes(command: Command, column: AxisValue, row: AxisValue): void {
  const varied = (axis: AxisValue): string[] =>
    axis.prompt === undefined ? Object.keys(axis.options) : ["prompts"];
  const both = varied(column).find((key) => varied(row).includes(key));
  if (both !== undefined) {
    throw new UsageError(
      `Cannot make a grid because both axes vary ${optionOf(both)}: give --y another option`,
      "y",
    );
  }
  const scratch = scratchCommand().action(() => {});
  for (const key of Object.keys(command.opts())) {
    if (command.getOptionValueSource(key) !== "cli") continue;
    scratch.setOptionValueWithSource(key, command.getOptionValue(key), "cli");
  }
  refusing(
    "Cannot make a grid because ",
    () => scratch.parse([...column.args, ...row.args], { from: "user" }),
  );
}

/** Returns a command with the options of an axis, which throws errors without printing them. */
function scratchCommand(): Command {
  return addAxisOptions(new Command()).exitOverride().configureOutput({ writeErr: () => {} });
}
