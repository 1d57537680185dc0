/**
 * `rerun`: makes a picture or an artifact again from the provenance in its file.
 *
 * @module
 */

import { Command } from "commander";
import { stderr, stdout } from "node:process";
import { PixstageError } from "../errors/pixstage_error.ts";
import type { GraphInput } from "../graph/document.ts";
import { splitSource } from "../graph/plan.ts";
import type { Provenance } from "../graph/provenance.ts";
import type { MadeArtifact } from "../graph/run_options.ts";
import { isStream } from "../disk/output_file.ts";
import { decodePicture, encodePicture, type PictureFormat } from "../images/picture.ts";
import { toPixels } from "../images/pixels.ts";
import type { Tensor } from "../artifacts/tensor.ts";
import { describePicture } from "../graph/describe_picture.ts";
import { addRunOptions, type GenOptions } from "./gen_options.ts";
import { memoryOptions, runOptions } from "./gen_request.ts";
import { ignoredOptions } from "./ignored_options.ts";
import { interruptSignal } from "./interrupt.ts";
import {
  type ArtifactWithProvenance,
  findProvenance,
  type PictureWithProvenance,
} from "./find_provenance.ts";
import { writeLine } from "./standard_streams.ts";
import { checkOutputs, isStdout, outputPath, writeOutput } from "./output.ts";
import { pictureFormat } from "./save_pictures.ts";
import { addSetOption, type SetParameters, setParameters } from "./set_parameters.ts";
import { openInputStore } from "./run_store.ts";
import { saveArtifact, showRun } from "./show_run.ts";
import { addStoreOptions, openRun, type StoreOptions } from "./store_options.ts";
import { UsageError } from "./usage_error.ts";

type RerunOptions = GenOptions & StoreOptions & { readonly output?: string; readonly set?: SetParameters };

/** Creates the `rerun` command. */
export function rerunCommand(): Command {
  const command = new Command("rerun")
    .description(
      "Makes a picture or an artifact again from the record of how it was made, and compares the two.",
    )
    .argument("<file|id>", "picture, safetensors file, or the beginning of an id in the store")
    .option(
      "-o, --output <file>",
      'file for the result, whose extension sets the format; - for the standard output (default: the name with "-again" added)',
    );
  return addStoreOptions(addRunOptions(addSetOption(command)))
    .addHelpText("after", "\nWith --no-store, all stages run again.")
    .action(rerun);
}

async function rerun(target: string, options: RerunOptions, command: Command): Promise<void> {
  const file = options.output ?? withAgain(target);
  await checkOutputs([file], options);
  const signal = interruptSignal();
  const run = await openRun(options, runOptions(options));
  const store = run.store ?? openInputStore();
  const made = await findProvenance(target, store);
  const { graph, output } = made.provenance;
  const outputName = asOutput(output);
  if ("input" in made && !file.endsWith(".safetensors") && !isStdout(file)) {
    throw new UsageError(
      `Cannot write ${target} again because the file must end in .safetensors: give -o FILE`,
    );
  }
  const format = "path" in made ? await formatOfCopy(made, options.output) : undefined;
  await showRun(setParameters(graph, options.set), { ...run, ...memoryOptions(options), store }, options, {
    signal,
    command,
    warnings: ignoredOptions(command),
    until: splitSource(outputName)[0],
    onPrepared(outlines) {
      const count = outlines.get(outputName)?.shapes["image"]?.[0];
      if ("path" in made && count !== undefined) requirePicture(made, count);
    },
    save: async (result) => {
      const again = result.get(outputName)!;
      const likeness = "path" in made
        ? await savePicture(again, made, { file, format })
        : await saveAgain(again, made, file);
      if (!options.set) tell(likeness, made.provenance, again.provenance, options);
      return [outputPath(file)];
    },
  });
}

/**
 * The degree to which the new file equals the old one. A picture that another program has saved again has the
 * same pixels but other bytes.
 */
type Likeness = "bytes" | "pixels" | "format" | "none";

/**
 * Returns the format of the new file. A name that the user gives decides it; a stream has no such name.
 *
 * @throws {UsageError} if the user's name has the extension of no picture format.
 */
async function formatOfCopy(made: PictureWithProvenance, output: string | undefined): Promise<PictureFormat> {
  if (output === undefined || isStdout(output) || await isStream(outputPath(output))) return made.format;
  return pictureFormat({ output });
}

/**
 * Writes the picture, and compares it with the old file. If their formats differ, it is compared as it would
 * be in the old format, because JPEG and WebP change pixels.
 */
async function savePicture(
  again: MadeArtifact,
  made: PictureWithProvenance,
  { file, format = made.format }: { readonly file: string; readonly format: PictureFormat | undefined },
): Promise<Likeness> {
  const { artifact, provenance } = again;
  const { image } = made;
  const pictures = toPixels(artifact.tensors["image"] as Tensor<"float32">);
  requirePicture(made, pictures.length);
  const pixels = pictures[image]!;
  const metadata = describePicture(artifact, image, provenance);
  const bytes = await encodePicture(pixels, { format, metadata });
  await writeOutput(file, [bytes]);
  if (isSame(bytes, made.bytes)) return "bytes";
  const comparable = format === made.format
    ? bytes
    : await encodePicture(pixels, { format: made.format, metadata });
  const [before, after] = await Promise.all([made.bytes, comparable].map((file) => decodePicture(file)));
  if (before!.pixels.width !== after!.pixels.width || !isSame(before!.pixels.data, after!.pixels.data)) {
    return "none";
  }
  return format === made.format ? "pixels" : "format";
}

/** Throws if the run makes too few pictures to contain the one that is made again. */
function requirePicture({ image, path }: PictureWithProvenance, count: number): void {
  if (image < count) return;
  throw new UsageError(
    `Cannot make ${path} again because it is picture ${
      image + 1
    } of its run, and the changed run makes only ` +
      `${count}: keep the number of pictures`,
  );
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Writes the artifact, and compares its content with the old one. */
async function saveAgain(
  again: MadeArtifact,
  { provenance }: ArtifactWithProvenance,
  file: string,
): Promise<Likeness> {
  await saveArtifact(again, file);
  const [node, port] = splitSource(asOutput(provenance.output));
  return provenance.stages[node]?.outputs[port] === again.id ? "bytes" : "none";
}

/** The message if the new file equals the old one. */
const ALIKE: Readonly<Record<Exclude<Likeness, "none">, string>> = {
  bytes: "The bytes are identical",
  pixels:
    "The pixels are identical, but the bytes are not: another program or version has saved the file since",
  format: "The picture is identical, but the format of the file is not",
};

/** Reports whether the files are equal. Throws if they are not, and names the weights that have changed. */
function tell(
  likeness: Likeness,
  before: Provenance,
  after: Provenance,
  { json, quiet }: RerunOptions,
): void {
  if (json) {
    writeLine(stdout, JSON.stringify({ type: "compared", same: likeness === "bytes", likeness }));
  }
  if (likeness !== "none") {
    if (!json && !quiet) writeLine(stderr, ALIKE[likeness]);
    return;
  }
  const known = fingerprints(after);
  const changed = [...fingerprints(before)].filter(([name, value]) => known.get(name) !== value).map((
    [name],
  ) => name);
  throw new PixstageError(
    "not_reproduced",
    changed.length > 0
      ? `The new result differs because these weights have changed: ${changed.join(", ")}`
      : "The new result differs: another version of pixstage, another device or another file may have made the old one",
  );
}

function fingerprints({ stages }: Provenance): Map<string, string> {
  const uses = Object.values(stages).flatMap(({ models }) => models);
  return new Map(uses.map(({ model, component, fingerprint }) => [`${component} of ${model}`, fingerprint]));
}

function asOutput(output: GraphInput): string {
  if (typeof output === "string") return output;
  throw new UsageError("Cannot make this artifact again because it was an input of its run, not a result");
}

function withAgain(path: string): string {
  return path.replace(/(\.[^./\\]+)?$/, (ending) => `-again${ending}`);
}
