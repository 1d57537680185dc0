import assert from "node:assert/strict";
import type { Command, Option } from "commander";
import { join } from "node:path";
import { program } from "../../cli.ts";
import { MOST_THREADS } from "../../runtime/threads.ts";
import { fc, SEED } from "../random.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

/** Number of values to draw per option. */
const DRAWS = 8;

/** Commands that are not tested. `serve` would run until it is stopped if it accepted a value. */
const LEFT_OUT: readonly string[] = ["serve", "help"];

/** Input files of commands, created once. */
interface Files {
  readonly embeddings: string;
  readonly latents: string;
  readonly picture: string;
  readonly graph: string;
}

/** Generator of an option's bad values; `none` if it has none. */
type Kind = fc.Arbitrary<string> | "none";

const letters = fc.stringMatching(/^[a-z]{3,12}$/);
const notANumber = fc.oneof(
  letters,
  fc.constantFrom("", " ", "NaN", "Infinity", "-Infinity", "1e999", "0x", "1,", "1 2", "--", "½"),
);
const notWhole = fc.oneof(
  notANumber,
  fc.double({ min: -1e6, max: 1e6, noInteger: true }).map(String),
  fc.integer({ max: -1 }).map(String),
  fc.constantFrom("1e3", "99999999999999999999", "+1"),
);
const notASize = fc.oneof(
  letters.filter((text) => !/b$/.test(text)),
  fc.constantFrom("", "1.5XB", "GB", "1,5GB"),
);
const nowhere = fc.constant("./nowhere/at-all");
/** Names that every object inherits, and `__proto__`, which schemas of records drop. */
const inherited = fc.constantFrom("__proto__", "constructor", "toString", "hasOwnProperty");
const noPair = fc.oneof(letters, fc.constantFrom("", "=", "=1"));

/** Generators by placeholder (`size`). Each option with a value must have one of these placeholders. */
const KINDS: Readonly<Record<string, Kind>> = {
  "dir|org/name": nowhere,
  "path": nowhere,
  "n": fc.oneof(notWhole, fc.constantFrom(`${MOST_THREADS + 1}000000`)),
  "k": fc.oneof(notWhole, fc.constant("0")),
  "step": fc.oneof(notWhole, fc.constant("0"), fc.integer({ min: 2, max: 1e6 }).map(String)),
  "pixels": fc.oneof(notWhole, fc.integer({ min: 1, max: 63 }).filter((side) => side % 16 !== 0).map(String)),
  "x": notANumber,
  "share": fc.oneof(notANumber, fc.constantFrom("0", "1", "-0.1", "1.1")),
  "size": notASize,
  "policy": fc.oneof(
    letters,
    fc.constantFrom("", "=stage", "encode=", "nobody=stage", "stage,", "encode=disk"),
    inherited.map((name) => `${name}=stage`),
  ),
  "n,n...": fc.oneof(
    notWhole.filter((text) => !/^-\d+$/.test(text)),
    fc.constantFrom("1,", ",", "1,x", "1;2", "0,1,2"),
  ),
  "x,x...": fc.oneof(notANumber, fc.constantFrom("1,", "0.5,0.9", "0.9,0.9", "0.9;0.5", "-1")),
  "pattern": fc.constantFrom("", "(", "blocks.(", "(a+)+", ".*.*.*.*", "(?=a)", "x".repeat(65)),
  "start,end": fc.oneof(
    notANumber,
    fc.constantFrom("1,", "0.5", "0,0.5,1", "0.6,0.4", "-0.1,1", "0,1.1", "0;1", ","),
  ),
  "key=value": fc.oneof(noPair, letters.map((name) => `${name}_x=1`), inherited.map((name) => `${name}=1`)),
  "node.parameter=value": fc.oneof(
    noPair,
    letters.map((name) => `nobody.${name}=1`),
    fc.constant("a=1"),
    inherited.map((name) => `${name}.x=1`),
  ),
  "node.port=file": fc.oneof(
    noPair,
    letters.map((name) => `nobody.${name}=x.png`),
    inherited.map((name) => `${name}.image=x.png`),
  ),
  "node": letters,
  "node=name,...": fc.oneof(
    fc.constantFrom("", "=", "=inline", ","),
    letters,
    inherited.map((name) => `${name}=inline`),
    fc.constantFrom("toString", "encode=toString", "decode=__proto__"),
  ),
  "address": letters,
  "name,...": letters,
  "name=dir,...": fc.constantFrom("=", "=1", "a="),
  "seconds": fc.oneof(notWhole, fc.constant("0")),
  "option=value,...": fc.oneof(letters.map((name) => `${name}x=1`), inherited.map((name) => `${name}=1`)),
  // Every text is a valid prompt, and every name or folder can exist.
  "text": "none",
  "name": "none",
  "dir": "none",
  "dir|url": "none",
  "file": "none",
  "module": nowhere,
};

/** Options whose placeholder means something else than in other options. */
const OF_OPTION: Readonly<Record<string, Kind>> = {
  "--variant": letters,
  "--scheduler": letters,
  "--revision": "none",
  "--init-noise": nowhere,
  "--image": nowhere,
  "--mask": nowhere,
  "--strength": fc.oneof(notANumber, fc.constantFrom("-0.1", "1.1", "1e9")),
  "--load-embeds": nowhere,
  "--load-latents": nowhere,
  "--lora": fc.oneof(fc.constantFrom("", ":", ":1", "a:x", "a:1e999", TINY), nowhere),
  "--precision": fc.oneof(letters, fc.constantFrom("", "float16", "encode=float16", "float64", "int8,")),
  "--eta": fc.oneof(notANumber, fc.constantFrom("-0.1", "1.1", "0.5")),
  "--vae-tile-size": fc.oneof(notWhole, fc.constantFrom("0", "63", "100", "72")),
  "--vae-tile-overlap": fc.oneof(notWhole, fc.constantFrom("7", "512", "1024")),
  "--checkpoint-every": notWhole,
  "--batch-count": fc.oneof(notWhole, fc.constant("0")),
  "--seed": fc.oneof(
    notWhole.filter((text) => !/^-\d+$/.test(text)),
    fc.bigInt({ min: 2n ** 64n, max: 2n ** 70n }).map((seed) => `1,${seed}`),
    fc.constantFrom("1,", "1,x", "1;2", "18446744073709551616", "-9223372036854775809"),
  ),
  "--timesteps": fc.oneof(notANumber, fc.constantFrom("900,900", "100,900", "-1", "900.5", "900,")),
  "--sigmas": fc.oneof(notANumber, fc.constantFrom("1,0.5", "0.5,1", "-1", "1,")),
  "--max-sequence-length": fc.oneof(notWhole, fc.constant("0")),
  "--threads": fc.oneof(notWhole, fc.constantFrom("0", "99999")),
  "--steps": fc.oneof(notWhole, fc.constantFrom("0", "1", "1000000")),
  "--steps-more": fc.oneof(notWhole, fc.constant("0")),
  "--guidance-scale": notANumber,
  "--step-cache": fc.oneof(notANumber, fc.constantFrom("0", "-0.1", "1.1")),
  "--cfg-scale": notANumber,
};

/** Options whose missing files are faults of the environment, with status 1 (see docs/errors.md). */
const FILES: readonly string[] = ["--image", "--init-noise", "--load-embeds", "--load-latents", "--plugin"];

/** Options that must accompany another one so that its bad value is read. */
const BESIDE: Readonly<Record<string, readonly string[]>> = {
  "--vae-tile-size": ["--vae-tiling", "blended"],
  "--vae-tile-overlap": ["--vae-tiling", "blended"],
};

/** Valid arguments of each command. */
function argumentsOf(command: string, { embeddings, latents, picture, graph }: Files): string[] {
  const model = ["-m", TINY];
  const size = ["-W", "64", "-H", "64", "--no-resolution-binning", "--steps", "2"];
  switch (command) {
    case "gen":
    case "plan":
      return [command, "cat", ...model, ...size];
    case "grid":
      return [command, "cat", ...model, ...size, "--x", "seed=1,2", "-o", "grid.png"];
    case "encode":
      return [command, "cat", ...model, "-o", "made.safetensors"];
    case "denoise":
      return [command, embeddings, ...model, ...size, "-o", "made.safetensors"];
    case "decode":
      return [command, latents, ...model];
    case "run":
      return [command, graph];
    case "resume":
      return [command, picture, "--from-step", "1"];
    case "rerun":
      return [command, picture];
    case "worker":
      return [command, "--queue", "redis://127.0.0.1:9"];
    case "inspect":
      return [command, picture];
    case "compare":
      return [command, "cat", ...model, "--a", "steps=2", "--b", "steps=3"];
    case "synthesize":
      return [command, "synthetic", "--preset", "small"];
    case "devices install":
      return [...command.split(" "), "cuda", "--from", "./libraries"];
    case "store gc":
    case "quantized gc":
      return [...command.split(" "), "--max-size", "1GB"];
    case "store rm":
    case "quantized rm":
      return [...command.split(" "), "abcd"];
    default:
      return command.split(" ");
  }
}

/** Yields the commands and subcommands with their names. */
function* walk(command: Command, name = ""): Generator<[name: string, command: Command]> {
  const subcommands = command.commands.filter((sub) => !LEFT_OUT.includes(sub.name()));
  for (const sub of subcommands) yield* walk(sub, `${name} ${sub.name()}`.trim());
  if (subcommands.length === 0 && name !== "") yield [name, command];
}

/** Returns the generator of an option's bad values. */
function kindOf({ long, flags, argChoices }: Option): Kind {
  if (argChoices) return letters.filter((text) => !argChoices.includes(text));
  const placeholder = /<(.*)>/.exec(flags)?.[1];
  if (placeholder === undefined) return "none";
  const kind = OF_OPTION[long ?? ""] ?? KINDS[placeholder];
  assert.ok(kind, `${flags}: say what its bad values are`);
  return kind;
}

/** Merges arguments. An option that is already present is replaced. */
function withOption(args: readonly string[], flags: readonly string[], value: string): string[] {
  const kept = args.filter((_, index) =>
    !flags.includes(args[index]!) && !flags.includes(args[index - 1] ?? "") &&
    // A run that starts from a file accepts no prompt.
    !(flags.at(-1)!.startsWith("--load-") && args[index] === "cat")
  );
  return [...kept, ...(BESIDE[flags.at(-1)!] ?? []), `${flags.at(-1)}=${value}`];
}

/** Creates the input files of commands. */
async function makeFiles(folder: string): Promise<Files> {
  const run = async (...args: string[]): Promise<void> => {
    const { status, stderr } = await runHere(folder, ...args);
    assert.equal(status, 0, stderr);
  };
  const files = {
    embeddings: join(folder, "e.safetensors"),
    latents: join(folder, "l.safetensors"),
    picture: join(folder, "cat.png"),
    graph: join(folder, "graph.json"),
  };
  const [gen, ...args] = argumentsOf("gen", files);
  await run(
    gen!,
    ...args,
    "-o",
    files.picture,
    "--save-embeds",
    files.embeddings,
    "--save-latents",
    files.latents,
  );
  const nodes = {
    decode: { stage: "decode", parameters: { model: TINY }, inputs: { latents: { file: files.latents } } },
  };
  await Deno.writeTextFile(files.graph, JSON.stringify({ pixstage: 1, nodes }));
  return files;
}

/** Describes what happened to each bad value that was not refused correctly. */
async function faultsOf(folder: string, option: Option, args: string[]): Promise<string[]> {
  const { status, stdout, stderr } = await runHere(folder, ...args);
  const names = [option.long, option.short].filter((name) => name !== undefined && name !== null);
  const errors = stderr.split("\n").filter((line) => line.startsWith("error: "));
  // An error about a file names the file instead of the option.
  const isNamed = names.some((name) => stderr.includes(name!)) || stderr.includes("nowhere/at-all");
  const expected = FILES.includes(option.long ?? "") ? 1 : 2;
  const ran = stdout.split("\n").filter((line) => /"type":"(stage|step|artifact|download)/.test(line));
  return [
    ...(status === expected ? [] : [`status ${status}`]),
    ...(errors.length === 1 ? [] : [`${errors.length} errors`]),
    ...(isNamed ? [] : ["the option is not named"]),
    ...(/\n\s+at /.test(stderr) ? ["a stack trace"] : []),
    ...(/"code"|\[ *\{/.test(stderr) ? ["raw JSON"] : []),
    ...(ran.length === 0 ? [] : [`ran: ${ran[0]}`]),
  ].map((fault) => `${fault}: ${args.join(" ")}\n${stderr}`);
}

Deno.test("bad values of all options of all commands are refused before any weight is read", async (t) => {
  await inFolder(async (folder) => {
    const files = await makeFiles(folder);
    const root = await program(undefined);
    for (const [name, command] of walk(root)) {
      const base = argumentsOf(name, files);
      const hasJson = command.options.some(({ long }) => long === "--json");
      await t.step(name, async () => {
        const faults: string[] = [];
        for (const option of command.options) {
          const kind = kindOf(option);
          if (kind === "none") continue;
          const flags = [option.short, option.long].filter((flag) => typeof flag === "string");
          for (const value of new Set(fc.sample(kind, { seed: SEED | 0, numRuns: DRAWS }))) {
            const args = [...withOption(base, flags, value), ...(hasJson ? ["--json"] : [])];
            faults.push(...await faultsOf(folder, option, args));
          }
        }
        assert.deepEqual(faults, [], `TEST_SEED=${SEED} draws the same`);
      });
    }
  });
});
