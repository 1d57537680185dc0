/**
 * `quantized`: lists the cached quantized weights, and deletes them.
 *
 * @module
 */

import { Command } from "commander";
import { stderr, stdout } from "node:process";
import prettyBytes from "pretty-bytes";
import { defaultQuantizedFolder } from "../models/quantization/default_folder.ts";
import {
  listQuantized,
  makeRoom,
  type QuantizedEntry,
  removeQuantized,
} from "../models/quantization/quantized_folder.ts";
import { diskSize } from "../pixstage/byte_size.ts";
import { isCurrent } from "../models/quantization/recipe.ts";
import { wholeId } from "./whole_id.ts";
import { byteSize } from "./option_values.ts";
import { writeLine } from "./standard_streams.ts";

/** Format of a size in a column. */
const COLUMN = { fixedWidth: 8 };

/** The options of all subcommands. */
interface Common {
  readonly json?: boolean;
}

/** Creates the `quantized` command. */
export function quantizedCommand(): Command {
  const command = new Command("quantized")
    .description("Lists the cached quantized weights, and deletes them.")
    .addHelpText("after", "\nPIXSTAGE_QUANTIZED names the folder (default: beside the store).");
  const add = (name: string, description: string): Command =>
    command.command(name).description(description).option("--json", "print JSON");
  add("ls", "Lists quantized weights, the least recently used first.").action(list);
  add("gc", "Removes the least recently used weights until the rest fits --max-size.")
    .requiredOption(
      "--max-size <size>",
      "size to shrink to, such as 0, 500MB or 10GiB; a bare number is in bytes",
      byteSize(diskSize),
    )
    .action(collect);
  add("rm", "Removes quantized weights.").argument("<ids...>", "ids or beginnings of ids").action(
    remove,
  );
  for (const subcommand of command.commands) subcommand.exitOverride();
  return command;
}

async function list({ json }: Common): Promise<void> {
  const folder = defaultQuantizedFolder();
  const found = await listQuantized(folder);
  for (const entry of found) {
    const used = new Date(entry.usedAt).toISOString();
    const { id, component, recipe, version, bytes } = entry;
    const note = recipe === undefined || isCurrent(recipe, version) ? "" : ` (version ${version}, obsolete)`;
    const what = recipe === undefined ? "incomplete" : `${component ?? "unknown component"} ${recipe}${note}`;
    writeLine(
      stdout,
      json
        ? JSON.stringify({ id, component, recipe, version, bytes, used })
        : `${id}  ${prettyBytes(bytes, COLUMN)}  ${used.slice(0, 16)}  ${what}`,
    );
  }
  const total = found.reduce((sum, { bytes }) => sum + bytes, 0);
  if (!json) writeLine(stderr, `${found.length} quantized components, ${prettyBytes(total)} in ${folder}`);
}

async function collect({ json, maxSize }: Common & { readonly maxSize: number }): Promise<void> {
  const removed = await makeRoom(defaultQuantizedFolder(), maxSize);
  for (const entry of removed) tell(entry, json);
}

async function remove(ids: readonly string[], { json }: Common): Promise<void> {
  const entries = new Map((await listQuantized(defaultQuantizedFolder())).map((entry) => [entry.id, entry]));
  const chosen = ids.map((id) => wholeId(id, [...entries.keys()], "quantized component"));
  for (const id of new Set(chosen)) {
    const entry = entries.get(id)!;
    await removeQuantized(entry);
    tell(entry, json);
  }
}

function tell({ id, bytes }: QuantizedEntry, json: boolean | undefined): void {
  writeLine(stdout, json ? JSON.stringify({ removed: id, bytes }) : `Removed ${id}, ${prettyBytes(bytes)}`);
}
