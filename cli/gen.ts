/**
 * `gen`: generates pictures from prompts.
 *
 * @module
 */

import { Command } from "commander";
import { defaultName } from "../graph/describe_picture.ts";
import type { RunResult } from "../graph/run_options.ts";
import { textToImage } from "../graph/text_to_image.ts";
import { DEFAULT_MODEL } from "../hub/local_models.ts";
import { addGenOptions, type GenOptions } from "./gen_options.ts";
import { checkBeginning, imageInputs, memoryOptions, pictureRequest, runOptions } from "./gen_request.ts";
import { embeddedPrompts } from "./embedded_prompts.ts";
import { ignoredOptions, skippedStages } from "./ignored_options.ts";
import { interruptSignal } from "./interrupt.ts";
import { checkOutputs, checkTensorNames } from "./output.ts";
import { allPrompts } from "./prompts_file.ts";
import { checkPictureFiles, pictureFiles, pictureFormat } from "./save_pictures.ts";
import { saveArtifact, saveMadePictures, showRun } from "./show_run.ts";
import { addStoreOptions, openRun, type StoreOptions } from "./store_options.ts";
import { UsageError } from "./usage_error.ts";
import { userPath } from "./user_path.ts";

/** Creates the `gen` command. */
export function genCommand(): Command {
  const command = new Command("gen")
    .description("Generates pictures from text.")
    .argument("[prompts...]", "what the pictures show; each prompt makes one picture");
  return addStoreOptions(addGenOptions(command, DEFAULT_MODEL)).action(gen);
}

/** Runs `gen`. */
async function gen(
  given: string[],
  options: GenOptions & StoreOptions,
  command: Command,
): Promise<void> {
  // 1. Refuse invalid options.
  const prompts = await allPrompts(given, options);
  checkOptions(prompts, options);
  const {
    loadEmbeds,
    initNoise,
    loadLatents,
    output,
    saveEmbeds,
    saveLatents,
    saveTensor,
    until = "decode",
  } = options;
  const { imagesPerPrompt = 1 } = pictureRequest(prompts, options);
  const count = prompts.length * imagesPerPrompt;
  const pictures = output !== undefined && count > 0 ? await pictureFiles(output, count) : [output];
  await checkOutputs([...pictures, saveEmbeds, saveLatents, saveTensor], {
    json: options.json,
    namesFiles: output === undefined && until === "decode",
  });
  await checkTensorNames([saveEmbeds, saveLatents, saveTensor]);
  const request = pictureRequest(prompts, options, await embeddedPrompts(loadEmbeds, options));
  const signal = interruptSignal();

  // 2. Build the graph.
  const graph = textToImage(request, {
    embeddingsFile: loadEmbeds && userPath(loadEmbeds),
    noiseFile: initNoise && userPath(initNoise),
    latentsFile: loadLatents && userPath(loadLatents),
    ...imageInputs(options),
    pair: saveEmbeds !== undefined,
  });
  if (until !== "decode") delete graph.nodes["decode"];
  if (until === "encode") {
    for (const id of ["denoise", "denoise-begin", "picture", "mask", "control"]) {
      delete graph.nodes[id];
    }
  }

  // 3. Run it, and write the requested files.
  const run = await openRun(options, runOptions(options));
  await showRun(graph, { ...run, ...memoryOptions(options) }, options, {
    signal,
    command,
    warnings: ignoredOptions(command, skippedStages(graph)),
    outputs: [...(saveEmbeds ? ["pair.embeddings"] : []), ...(saveLatents ? ["denoise.latents"] : [])],
    onPrepared: async (outlines) => {
      if (output !== undefined) await checkPictureFiles(outlines.get("decode.image"), output);
    },
    save: (made) => save(made, options),
  });
}

/** Writes the requested files, and returns their paths. */
async function save(made: RunResult, options: GenOptions): Promise<string[]> {
  const paths: string[] = [];
  const artifacts: [file: string | undefined, output: string][] = [
    [options.saveEmbeds, "pair.embeddings"],
    [options.saveLatents, "denoise.latents"],
    [options.saveTensor, "decode.image"],
  ];
  for (const [file, output] of artifacts) {
    const found = made.get(output);
    if (file !== undefined && found) paths.push(await saveArtifact(found, file));
  }
  const image = made.get("decode.image");
  if (!image) return paths;
  const format = pictureFormat({ output: options.output, format: options.outputFormat }, {
    hasFormatOption: true,
  });
  const output = options.output ?? defaultName(image.artifact.metadata, format);
  return [...paths, ...await saveMadePictures(image, { output, format })];
}

/** Throws if the options are incomplete or contradict each other. Reads no file. */
function checkOptions(prompts: readonly string[], options: GenOptions): void {
  const { loadEmbeds, loadLatents, until, saveEmbeds, saveLatents } = options;
  checkBeginning(prompts, options);
  if (until === "encode" && saveEmbeds === undefined) {
    throw new UsageError(
      "Cannot stop after encoding because the result would be lost: give --save-embeds FILE",
    );
  }
  if (until === "denoise" && saveLatents === undefined) {
    throw new UsageError(
      "Cannot stop after denoising because the result would be lost: give --save-latents FILE",
    );
  }
  if ((loadLatents && until && until !== "decode") || (loadEmbeds && until === "encode")) {
    throw new UsageError(`Cannot stop after "${until}" because the run starts after it: leave out --until`);
  }
  pictureFormat({ output: options.output, format: options.outputFormat }, { hasFormatOption: true });
}
