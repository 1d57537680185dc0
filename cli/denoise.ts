/**
 * `denoise`: denoises a file of embeddings to a file of latents. It needs only the transformer and the
 * scheduler of the checkpoint.
 *
 * @module
 */

import { Command } from "commander";
import type { GraphDocumentInput } from "../graph/document.ts";
import { textToImage } from "../graph/text_to_image.ts";
import { DEFAULT_MODEL } from "../hub/local_models.ts";
import { embeddedPrompts } from "./embedded_prompts.ts";
import {
  addDenoiseOptions,
  addImageOptions,
  addModelOptions,
  addPrecisionOption,
  addRunOptions,
  type GenOptions,
} from "./gen_options.ts";
import { imageInputs, memoryOptions, pictureRequest, runOptions } from "./gen_request.ts";
import { ignoredOptions } from "./ignored_options.ts";
import { interruptSignal } from "./interrupt.ts";
import { wholeNumber } from "./option_values.ts";
import { checkOutputs, checkTensorNames } from "./output.ts";
import { saveArtifact, showRun } from "./show_run.ts";
import { addStoreOptions, openRun, type StoreOptions } from "./store_options.ts";
import { userPath } from "./user_path.ts";

type DenoiseOptions = GenOptions & StoreOptions & { readonly output: string; readonly stopAfter?: number };

/** Creates the `denoise` command. */
export function denoiseCommand(): Command {
  const command = new Command("denoise")
    .description("Denoises with a file of embeddings, and writes a file of latents for `decode`.")
    .argument("<embeddings>", "file of embeddings");
  addPrecisionOption(
    addRunOptions(addImageOptions(addDenoiseOptions(addModelOptions(command, DEFAULT_MODEL)))),
  )
    .requiredOption(
      "-o, --output <file>",
      "file for the latents, or for the snapshot with --stop-after; - for the standard output",
    )
    .option(
      "--stop-after <step>",
      "stop after this many steps, and write a snapshot for `resume`",
      wholeNumber(1),
    );
  return addStoreOptions(command).action(denoise);
}

async function denoise(embeddings: string, options: DenoiseOptions, command: Command): Promise<void> {
  const { stopAfter } = options;
  await checkOutputs([options.output], options);
  await checkTensorNames([options.output]);
  const embeddingsFile = userPath(embeddings);
  const noiseFile = options.initNoise && userPath(options.initNoise);
  const request = pictureRequest([], options, await embeddedPrompts(embeddings, options));
  const graph = textToImage(request, {
    embeddingsFile,
    noiseFile,
    ...imageInputs(options),
  });
  const signal = interruptSignal();
  const run = await openRun(options, runOptions(options));
  const output = stopAfter === undefined ? "denoise.latents" : "denoise.checkpoint";
  const all = { ...run, ...memoryOptions(options) };
  await showRun(stopAfter === undefined ? graph : stoppedAfter(graph, stopAfter), all, options, {
    signal,
    until: "denoise",
    command,
    warnings: ignoredOptions(command),
    save: async (made) => [await saveArtifact(made.get(output)!, options.output)],
  });
}

/** Returns the graph with a `denoise` that stops after `stopAfter` steps and has no node after it. */
function stoppedAfter({ nodes, ...rest }: GraphDocumentInput, stopAfter: number): GraphDocumentInput {
  const { denoise, decode: _decode, ...before } = nodes;
  const parameters = { ...denoise?.parameters, stopAfter };
  return { ...rest, nodes: { ...before, denoise: { ...denoise, stage: "denoise-part", parameters } } };
}
