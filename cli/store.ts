/**
 * `store`: lists the content of the store and maintains it.
 *
 * @module
 */

import { Command } from "commander";
import { stderr, stdout } from "node:process";
import prettyBytes from "pretty-bytes";
import { collectGarbage, removeFault, verifyStore } from "../artifacts/store/folder_maintenance.ts";
import type { FolderStore } from "../artifacts/store/folder_store.ts";
import { isS3Address } from "../artifacts/store/s3_address.ts";
import { S3Store } from "../artifacts/store/s3_store.ts";
import { PixstageError } from "../errors/pixstage_error.ts";
import { diskSize } from "../pixstage/byte_size.ts";
import { wholeId } from "./whole_id.ts";
import { byteSize } from "./option_values.ts";
import { openFolderStore, openS3Store } from "./run_store.ts";
import { writeLine } from "./standard_streams.ts";

/** The noun for the things that ids name, in errors. */
export const STORED = "artifact in the store";

/** Format of a size in a column. */
const COLUMN = { fixedWidth: 8 };

/** The options of all subcommands. */
interface Common {
  readonly store?: string;
  readonly json?: boolean;
}

/** Creates the `store` command. */
export function storeCommand(): Command {
  const command = new Command("store").description("Lists the content of the store, and maintains it.");
  const add = (name: string, description: string): Command =>
    command.command(name)
      .description(description)
      .option(
        "--store <dir|url>",
        "folder of the store, or s3://BUCKET/PREFIX (default: in the user's cache)",
      )
      .option("--json", "print JSON");
  add("ls", "Lists the artifacts, the least recently used first.").action(list);
  add(
    "gc",
    "Removes leftovers of crashed runs, and the least recently used artifacts until the rest fits --max-size.",
  )
    .requiredOption(
      "--max-size <size>",
      "size to shrink to, such as 500MB or 10GiB; a bare number is in bytes",
      byteSize(diskSize),
    )
    .action(collect);
  add("verify", "Reads all files, and reports damaged ones and leftovers of crashed runs.")
    .option("--remove", "remove the reported files")
    .action(verify);
  add("rm", "Removes artifacts.").argument("<ids...>", "ids or beginnings of ids").action(remove);
  for (const subcommand of command.commands) subcommand.exitOverride();
  return command;
}

/** Opens the store of a command. `name` is its folder or address, for messages. */
function openStore(
  { store: place }: Common,
): { readonly store: FolderStore | S3Store; readonly name: string } {
  if (place !== undefined && isS3Address(place)) return { store: openS3Store(place), name: place };
  const store = openFolderStore(place);
  return { store, name: store.folder };
}

async function list(options: Common): Promise<void> {
  const { store, name } = openStore(options);
  const found = await Array.fromAsync(store.list());
  found.sort((a, b) => a.usedAt - b.usedAt);
  for (const { id, bytes, usedAt } of found) {
    const maker = await store.madeBy(id);
    const used = new Date(usedAt).toISOString();
    if (options.json) {
      writeLine(stdout, JSON.stringify({ id, bytes, used, ...(maker ? { stage: maker.stage } : {}) }));
    } else {
      writeLine(
        stdout,
        `${id}  ${prettyBytes(bytes, COLUMN)}  ${used.slice(0, 16)}  ${maker?.stage ?? "given"}`,
      );
    }
  }
  const total = found.reduce((sum, { bytes }) => sum + bytes, 0);
  if (!options.json) writeLine(stderr, `${found.length} artifacts, ${prettyBytes(total)} in ${name}`);
}

async function collect(options: Common & { readonly maxSize: number }): Promise<void> {
  const { store } = openStore(options);
  const { removed, left } = store instanceof S3Store
    ? await store.collect(options.maxSize)
    : await collectGarbage(store, options.maxSize);
  if (options.json) return writeLine(stdout, JSON.stringify({ removed, left }));
  writeLine(stdout, `Removed ${removed.files} files, ${prettyBytes(removed.bytes)}`);
  writeLine(stdout, `${left.files} files remain, ${prettyBytes(left.bytes)}`);
}

/** Verifies the store. The exit status is 1 if damaged files were found and not removed. */
async function verify(options: Common & { readonly remove?: boolean }): Promise<void> {
  let files = 0;
  let faults = 0;
  for await (const fault of verifyStore(openFolderStore(options.store), () => files += 1)) {
    faults += 1;
    if (options.remove) await removeFault(fault);
    const { what, path, reason } = fault;
    writeLine(stdout, options.json ? JSON.stringify(fault) : `${what}  ${path}: ${reason}`);
  }
  if (!options.json) {
    const what = options.remove ? "faults found and removed" : "faults found";
    writeLine(stderr, `${files} files read, ${faults} ${what}`);
  }
  if (faults > 0 && !options.remove) {
    throw new PixstageError(
      "store_damaged",
      `The store has ${faults} ${
        faults === 1 ? "fault" : "faults"
      }: run \`store verify --remove\` to remove them`,
    );
  }
}

async function remove(ids: readonly string[], options: Common): Promise<void> {
  const { store } = openStore(options);
  const all = (await Array.fromAsync(store.list())).map(({ id }) => id);
  const chosen = ids.map((id) => wholeId(id, all, STORED));
  for (const id of chosen) {
    await store.delete(id);
    writeLine(stdout, options.json ? JSON.stringify({ removed: id }) : id);
  }
}
