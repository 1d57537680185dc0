/**
 * `compare`: generates the same picture with two sets of options, and reports how far the results differ and
 * how much time and memory each needed.
 *
 * @module
 */

import { Command } from "commander";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process, { stderr, stdout } from "node:process";
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
import { checkSameSize } from "../images/pixels.ts";
import { sideBySide } from "../images/side_by_side.ts";
import { psnr, ssim } from "../images/similarity.ts";
import { compareTensors, type TensorDifference } from "../artifacts/compare_tensors.ts";
import { defaultQuantizedFolder } from "../models/quantization/default_folder.ts";
import { heldFlags } from "../permissions/permission_sets.ts";
import { comparedArguments, type ComparedOptions } from "./compared_options.ts";
import { comparePage, decibels, pageFile } from "./compare_page.ts";
import { interruptSignal } from "./interrupt.ts";
import type { MemoryReport } from "./memory_report.ts";
import { checkOutputs, isStdout, printPaths, writeOutput } from "./output.ts";
import { pictureFormat } from "./save_pictures.ts";
import { writeLine } from "./standard_streams.ts";
import { UsageError } from "./usage_error.ts";
import { userFolder } from "./user_path.ts";

interface CompareOptions extends ComparedOptions {
  readonly output: string;
  readonly page?: string;
  readonly json?: boolean;
}

/** The result of one of the two runs. */
interface Way {
  readonly name: string;
  readonly embeddings: Tensor<"float32">;
  readonly latents: Tensor<"float32">;
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
      "options of gen for the first picture, such as precision=float32; a flag is given as wildcards=true",
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
  const format = pictureFormat({ output: options.output });
  await checkOutputs([options.output, options.page], options);
  const [argsA, argsB] = await comparedArguments(prompt, options);

  // 1. Generate both pictures, each in a separate process.
  const signal = interruptSignal();
  const folder = await mkdtemp(join(tmpdir(), "pixstage-compare-"));
  // A second Ctrl-C ends this process without `finally`.
  const clear = (): void => rmSync(folder, { recursive: true, force: true });
  process.once("exit", clear);
  try {
    const a = await make(options.a, prompt, argsA, join(folder, "a"), signal);
    const b = await make(options.b, prompt, argsB, join(folder, "b"), signal);

    // 2. Compare the results.
    const pictureA = await decodePicture(a.picture);
    const pictureB = await decodePicture(b.picture);
    checkSameSize(pictureA.pixels, pictureB.pixels);
    checkSameTensors(a, b);
    const result = {
      embeddings: compareTensors(a.embeddings.data, b.embeddings.data),
      latents: compareTensors(a.latents.data, b.latents.data),
      psnr: psnr(pictureA.pixels, pictureB.pixels),
      ssim: ssim(pictureA.pixels, pictureB.pixels),
      gmsd: gmsd(pictureA.pixels, pictureB.pixels),
    };

    // 3. Write both pictures side by side, and report.
    const both = sideBySide(pictureA.pixels, pictureB.pixels);
    const output = await writeOutput(options.output, [
      await encodePicture(both, { format, metadata: { a: a.name, b: b.name } }),
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
      `pictures    PSNR ${decibels(result.psnr)}, SSIM ${result.ssim.toFixed(4)}, GMSD ${
        result.gmsd.toFixed(4)
      }`,
    );
    for (const { name, seconds, memory } of ways) {
      writeLine(stream, `${name}  ${seconds.toFixed(1)} s, peak ${prettyBytes(memory.peakBytes)}`);
    }
    printPaths(paths, options);
  } finally {
    process.off("exit", clear);
    clear();
  }
}

/**
 * Throws if the tensors of the runs differ in size although their pictures do not. This depends on their
 * checkpoints.
 */
function checkSameTensors(a: Way, b: Way): void {
  const faults = [
    ["embeddings", "checkpoints of one kind and the same max-sequence-length"],
    ["latents", "autoencoders of one kind and the same resolution binning"],
  ] as const;
  for (const [what, advice] of faults) {
    const [shapeA, shapeB] = [a[what], b[what]].map(({ shape }) => shape.join(" × "));
    if (shapeA === shapeB) continue;
    throw new UsageError(
      `Cannot compare ${what} of ${shapeA} and ${shapeB} values: give both runs ${advice}`,
    );
  }
}

/** Runs `gen` in a separate process, so that its memory can be measured separately. */
async function make(
  name: string,
  prompt: string,
  args: readonly string[],
  stem: string,
  signal: AbortSignal,
): Promise<Way> {
  const files = {
    embeddings: `${stem}.embeddings.safetensors`,
    latents: `${stem}.latents.safetensors`,
    picture: `${stem}.png`,
  };
  const started = performance.now();
  const saved = ["--save-embeds", files.embeddings, "--save-latents", files.latents];
  const command = moduleCommand(
    new URL("../bin.ts", import.meta.url),
    ["gen", ...args, ...saved, "--output", files.picture, "--no-store", "--json", "--", prompt],
    () =>
      heldFlags("pictures", { paths: [userFolder(), tmpdir(), defaultQuantizedFolder(), hubCacheFolder()] }),
  );
  const { program, args: words, env } = command;
  signal.throwIfAborted();
  const run = spawn(program, words, { cwd: userFolder(), env, stdio: ["ignore", "pipe", "pipe"] });
  const ended: Promise<unknown[]> = once(run, "close");
  const stop = (): boolean => run.kill("SIGTERM");
  const kill = (): boolean => run.kill("SIGKILL");
  signal.addEventListener("abort", stop, { once: true });
  process.once("exit", kill);
  const [output, errors, [status]] = await Promise.all([text(run.stdout), text(run.stderr), ended])
    .finally(() => {
      signal.removeEventListener("abort", stop);
      process.off("exit", kill);
    });
  signal.throwIfAborted();
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
async function firstTensor(path: string): Promise<Tensor<"float32">> {
  const { tensors } = await readSafetensorsFile(path);
  const names = ["latents", "prompt_embeds", ...Object.keys(tensors).sort()];
  const found = names.map((name) => tensors[name]).find((value) => value?.dtype === "float32");
  return found as Tensor<"float32">;
}
