/**
 * Checks that no command accepts an option that it ignores.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Command } from "commander";
import { join } from "node:path";
import { program } from "../../cli.ts";
import { addAxisOptions } from "../../cli/grid.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

/** Options that are read from a copy, by command. `grid` merges them with those of each cell. */
const COPIED: Readonly<Record<string, readonly string[]>> = {
  grid: addAxisOptions(new Command()).options.map((option) => option.attributeName()),
};

const MODEL = ["-m", TINY];
const SMALL = ["-W", "64", "-H", "64", "--no-resolution-binning", "--steps", "2"];

/**
 * Arguments with which each command reads all of its options. The commands run in this order, in one folder.
 * `FIRST` stands for an id in the store.
 */
const ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  "gen": ["cat", ...MODEL, ...SMALL, "-o", "cat.png", "--save-latents", "cat.latents.safetensors"],
  "encode": ["cat", ...MODEL, "-o", "cat.embeds.safetensors"],
  "denoise": ["cat.embeds.safetensors", ...MODEL, ...SMALL, "-o", "same.latents.safetensors"],
  "decode": ["cat.latents.safetensors", ...MODEL],
  "run": ["graph.json"],
  "resume": ["cat.latents.safetensors", "-o", "again.png"],
  "rerun": ["cat.png"],
  "inspect": ["cat.png"],
  "synthesize": ["synthetic", "--preset", "tiny"],
  "plan": ["cat", ...MODEL, ...SMALL],
  "grid": ["cat", ...MODEL, ...SMALL, "--x", "seed=1,2"],
  // One step is refused, after all options have been read.
  "compare": ["cat", "--a", "steps=1", "--b", "steps=2"],
  "store ls": [],
  "store gc": ["--max-size", "1GB"],
  "store verify": [],
  "store rm": ["FIRST"],
  "quantized ls": [],
  "quantized gc": ["--max-size", "1GB"],
  "quantized rm": ["0"],
  "schedulers": [],
  "stages": [],
  "models": [],
  "doctor": [],
  "devices": [],
  "devices install": ["cuda", "--from", "./nowhere"],
  "devices remove": ["cuda"],
  // These two would run until they are stopped.
  "serve": ["--plugin", "./nowhere.ts"],
  "worker": ["--queue", "redis://127.0.0.1:9", "--models", "tiny=./nowhere"],
};

/** Yields the commands and subcommands that do something, with their names. */
function* walk(command: Command, path: readonly string[] = []): Generator<[name: string, command: Command]> {
  for (const sub of command.commands) yield* walk(sub, [...path, sub.name()]);
  const name = path.join(" ");
  if (command.commands.length === 0 || Object.hasOwn(ARGUMENTS, name)) yield [name, command];
}

/** Runs a command, and returns the names of the options that its action reads. */
async function optionsRead(folder: string, name: string): Promise<Set<string>> {
  const [first = "{}"] = (await runHere(folder, "store", "ls", "--json")).stdout.split("\n");
  const args = ARGUMENTS[name]!.map((arg) => arg === "FIRST" ? JSON.parse(first).id : arg);
  const { opts } = Command.prototype;
  const read = new Set<string>();
  let copied: string | symbol | undefined;
  let isAction = true;
  Command.prototype.opts = function <T extends Record<string, unknown>>(this: Command): T {
    const options = opts.call(this) as T;
    if (!isAction) return options;
    isAction = false;
    return new Proxy(options, {
      // A copy asks for the descriptor of each property before it gets the property.
      getOwnPropertyDescriptor(target, property) {
        copied = property;
        return Reflect.getOwnPropertyDescriptor(target, property);
      },
      get(target, property) {
        if (property !== copied) read.add(String(property));
        copied = undefined;
        return Reflect.get(target, property);
      },
    });
  };
  try {
    await runHere(folder, ...name.split(" "), ...args);
  } finally {
    Command.prototype.opts = opts;
  }
  return read;
}

Deno.test("each command reads each of its options", async (test) => {
  await inFolder(async (folder) => {
    const graph = {
      pixstage: 1,
      nodes: {
        decode: {
          stage: "decode",
          parameters: { model: TINY },
          inputs: { latents: { file: join(folder, "cat.latents.safetensors") } },
        },
      },
    };
    await Deno.writeTextFile(join(folder, "graph.json"), JSON.stringify(graph));
    const commands = new Map(walk(await program(undefined)));
    assert.deepEqual([...commands.keys()].sort(), Object.keys(ARGUMENTS).sort());
    for (const name of Object.keys(ARGUMENTS)) {
      await test.step(name, async () => {
        const read = new Set([...await optionsRead(folder, name), ...COPIED[name] ?? []]);
        const accepted = commands.get(name)!.options.map((option) => option.attributeName());
        assert.deepEqual([...new Set(accepted)].filter((option) => !read.has(option)), []);
      });
    }
  });
});

Deno.test("compare refuses the options of gen that it sets itself", async () => {
  await inFolder(async (folder) => {
    for (const option of ["output=a.png", "save-latents=a.safetensors", "until=encode", "store=elsewhere"]) {
      const { status, stderr } = await runHere(folder, "compare", "cat", "--a", option, "--b", "steps=2");
      assert.equal(status, 2);
      assert.match(stderr, new RegExp(`--${option.split("=")[0]} because compare sets this option itself`));
    }
  });
});
