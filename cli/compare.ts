/**
 * `compare`: generates the same picture with two sets of options, and reports how far the results differ and
 * how much time and memory each needed.
 *
 * @module
 */

import { Command, CommanderError } from "commander";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stderr, stdout } from "node:process";
import { text } from "node:stream/consumers";
import prettyBytes from "pretty-bytes";
import { readSafetensorsFile } from "../artifacts/files_on_disk.ts";
import type { Tensor } from "../artifacts/tensor.ts";
import { EXIT_STATUSES } from "../errors/error_codes.ts";
import { PixstageError } from "../errors/pixstage_error.ts";
import { moduleCommand } from "../graph/hosts/module_command.ts";
import { hubCacheFolder } from "../hub/hub_settings.ts";
import { DEFAULT_MODEL } from "../hub/local_models.ts";
import { amplifiedDifference } from "../images/amplified_difference.ts";
import { gmsd } from "../images/gradient_similarity.ts";
import { decodePicture, encodePicture } from "../images/picture.ts";
import { sideBySide } from "../images/side_by_side.ts";
import { psnr, ssim } from "../images/similarity.ts";
import { compareTensors, type TensorDifference } from "../artifacts/compare_tensors.ts";
import { defaultQuantizedFolder } from "../models/quantization/default_folder.ts";
import { heldFlags } from "../permissions/permission_sets.ts";
import { comparePage, pageFile } from "./compare_page.ts";
import type { MemoryReport } from "./memory_report.ts";
import { genCommand } from "./gen.ts";
import { pathOrName } from "./path_or_name.ts";
import { checkOutputs, isStdout, printPaths, writeOutput } from "./output.ts";
import { writeLine } from "./standard_streams.ts";
import { optionOf } from "./name_option.ts";
import { UsageError } from "./usage_error.ts";
import { userFolder } from "./user_path.ts";

interface CompareOptions {
  readonly model: string;
  readonly a: string;
  readonly b: string;
  readonly set: string;
  readonly output: string;
  readonly page?: string;
  readonly json?: boolean;
}

/** The result of one of the two runs. */
interface Way {
  readonly name: string;
  readonly embeddings: Float32Array;
  readonly latents: Float32Array;
  readonly picture: Uint8Array;
  readonly seconds: number;
  readonly memory: MemoryReport;
}

/** Exit status of a run whose options were invalid. */
const USAGE_STATUS = EXIT_STATUSES.caller;

/** One of the two runs failed. */
export class CompareError extends PixstageError<"comparison_failed"> {
  override name = "CompareError";

  /** @param message Which run failed, and why. */
  constructor(message: string) {
    super("comparison_failed", message);
  }
}

/** Creates the `compare` command. */
export function compareCommand(): Command {
  return new Command("compare")
    .description(
      "Generates a picture with two sets of options, one after the other, and measures how much the results differ.",
    )
    .argument("<prompt>", "what the picture shows")
    .requiredOption(
      "--a <option=value,...>",
      "options of gen for the first picture, such as precision=float32",
    )
    .requiredOption("--b <option=value,...>", "options of gen for the second picture, such as precision=int8")
    .option("--set <option=value,...>", "options of gen for both pictures, such as steps=2,seed=7", "")
    .option("-m, --model <dir|org/name>", "checkpoint in diffusers' folder layout", DEFAULT_MODEL)
    .option(
      "-o, --output <file>",
      "file for both pictures side by side; - for the standard output",
      "compare.png",
    )
    .option(
      "--page <file>",
      "HTML file with both pictures under a slider, their difference and the figures",
      pageFile,
    )
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      '\nExample:\n  deno task compare "a castle" --a precision=float32 --b precision=int8 --set steps=8',
    )
    .action(compare);
}

async function compare(prompt: string, options: CompareOptions): Promise<void> {
  await checkOutputs([options.output, options.page], options);
  for (const name of ["set", "a", "b"] as const) checkFlags(name, flags(options[name]));

  // 1. Generate both pictures, each in a separate process.
  const folder = await mkdtemp(join(tmpdir(), "pixstage-compare-"));
  try {
    const common = [...flags(options.set), "--model", pathOrName(options.model)];
    const a = await make(options.a, [prompt, ...common, ...flags(options.a)], join(folder, "a"));
    const b = await make(options.b, [prompt, ...common, ...flags(options.b)], join(folder, "b"));

    // 2. Compare the results.
    const pictureA = await decodePicture(a.picture);
    const pictureB = await decodePicture(b.picture);
    const result = {
      embeddings: compareTensors(a.embeddings, b.embeddings),
      latents: compareTensors(a.latents, b.latents),
      psnr: psnr(pictureA.pixels, pictureB.pixels),
      ssim: ssim(pictureA.pixels, pictureB.pixels),
      gmsd: gmsd(pictureA.pixels, pictureB.pixels),
    };

    // 3. Write both pictures side by side, and report.
    const both = sideBySide(pictureA.pixels, pictureB.pixels);
    const output = await writeOutput(options.output, [
      await encodePicture(both, { format: "png", metadata: { a: a.name, b: b.name } }),
    ]);
    const paths = [output];
    if (options.page !== undefined) {
      const difference = amplifiedDifference(pictureA.pixels, pictureB.pixels);
      const page = await comparePage({
        prompt,
        common: options.set,
        runs: [a, b],
        results: result,
        difference,
      });
      paths.push(await writeOutput(options.page, [new TextEncoder().encode(page)]));
    }
    const ways = [a, b].map(({ name, seconds, memory }) => ({ name, seconds, memory }));
    if (options.json) {
      return writeLine(stdout, JSON.stringify({ ...result, ways, file: output, page: paths[1] }));
    }
    const difference = ({ cosine, relativeError, largestError }: TensorDifference): string =>
      `cosine ${cosine.toFixed(6)}, relative error ${relativeError.toExponential(2)}, ` +
      `largest error ${largestError.toExponential(2)}`;
    const stream = isStdout(output) ? stderr : stdout;
    writeLine(stream, `embeddings  ${difference(result.embeddings)}`);
    writeLine(stream, `latents     ${difference(result.latents)}`);
    writeLine(
      stream,
      `pictures    PSNR ${result.psnr.toFixed(2)} dB, SSIM ${result.ssim.toFixed(4)}, GMSD ${
        result.gmsd.toFixed(4)
      }`,
    );
    for (const { name, seconds, memory } of ways) {
      writeLine(stream, `${name}  ${seconds.toFixed(1)} s, peak ${prettyBytes(memory.peakBytes)}`);
    }
    printPaths(paths, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Converts `precision=int8,steps=2` to command-line options of `gen`. */
function flags(text: string): string[] {
  const parts = text.split(/,(?=[a-z-]+=)/).filter((part) => part !== "");
  return parts.flatMap((part) => {
    const equals = part.indexOf("=");
    if (equals < 1) throw new UsageError(`Cannot read "${part}": it must be option=value`);
    return [`--${part.slice(0, equals)}`, part.slice(equals + 1)];
  });
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

/** Throws if `gen` does not have one of the options, refuses its value, or if `compare` sets it itself. */
function checkFlags(name: "set" | "a" | "b", args: readonly string[]): void {
  const command = genCommand().exitOverride().configureOutput({ writeErr: () => {} });
  try {
    const [unknown] = command.parseOptions([...args]).unknown;
    if (unknown !== undefined) {
      throw new UsageError(`Cannot compare because gen has no option ${unknown}: correct --${name}`);
    }
    const own = OWN_OPTIONS.find((option) => command.getOptionValueSource(option) === "cli");
    if (own !== undefined) {
      throw new UsageError(
        `Cannot compare with ${optionOf(own)} because compare sets this option itself: correct --${name}`,
      );
    }
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw new UsageError(`--${name}: ${error.message.replace(/^error: /, "")}`);
  }
}

/** Runs `gen` in a separate process, so that its memory can be measured separately. */
async function make(name: string, args: readonly string[], stem: string): Promise<Way> {
  const files = { embeddings: `${stem}.embeddings`, latents: `${stem}.latents`, picture: `${stem}.png` };
  const started = performance.now();
  const saved = ["--save-embeds", files.embeddings, "--save-latents", files.latents];
  const command = moduleCommand(
    new URL("../bin.ts", import.meta.url),
    ["gen", ...args, ...saved, "--output", files.picture, "--no-store", "--json"],
    () =>
      heldFlags("pictures", { paths: [userFolder(), tmpdir(), defaultQuantizedFolder(), hubCacheFolder()] }),
  );
  const { program, args: words, env } = command;
  const run = spawn(program, words, { cwd: userFolder(), env, stdio: ["ignore", "pipe", "pipe"] });
  const ended: Promise<unknown[]> = once(run, "close");
  const [output, errors, [status]] = await Promise.all([text(run.stdout), text(run.stderr), ended]);
  if (status !== 0) {
    const said = errors.trim();
    const reason = said.split("\n").find((line) => line.startsWith("error: "))?.slice("error: ".length) ??
      said;
    const message = `Cannot compare because the run of "${name}" failed: ${reason}`;
    throw status === USAGE_STATUS ? new UsageError(message) : new CompareError(message);
  }
  const events = output.trim().split("\n").map((line) => JSON.parse(line));
  return {
    name,
    embeddings: await firstTensor(files.embeddings),
    latents: await firstTensor(files.latents),
    picture: await readFile(files.picture),
    seconds: (performance.now() - started) / 1000,
    memory: events.find(({ type }) => type === "memory"),
  };
}

/** Returns the float32 tensor of a file: `latents`, `prompt_embeds`, or else the first by name. */
async function firstTensor(path: string): Promise<Float32Array> {
  const { tensors } = await readSafetensorsFile(path);
  const names = ["latents", "prompt_embeds", ...Object.keys(tensors).sort()];
  const found = names.map((name) => tensors[name]).find((value) => value?.dtype === "float32");
  return (found as Tensor<"float32">).data;
}
