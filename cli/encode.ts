/**
 * `encode`: encodes prompts to a file of embeddings. It needs only the tokenizer and the text encoder of the
 * checkpoint.
 *
 * @module
 */

import { Command } from "commander";
import { textToImage } from "../graph/text_to_image.ts";
import { DEFAULT_MODEL } from "../hub/local_models.ts";
import {
  addCaptionOptions,
  addModelOptions,
  addPrecisionOption,
  addRunOptions,
  type GenOptions,
} from "./gen_options.ts";
import { memoryOptions, pictureRequest, runOptions } from "./gen_request.ts";
import { ignoredOptions } from "./ignored_options.ts";
import { interruptSignal } from "./interrupt.ts";
import { checkOutputs, checkTensorNames } from "./output.ts";
import { saveArtifact, showRun } from "./show_run.ts";
import { addStoreOptions, openRun, type StoreOptions } from "./store_options.ts";

type EncodeOptions = GenOptions & StoreOptions & { readonly output: string; readonly negative: boolean };

/** Creates the `encode` command. */
export function encodeCommand(): Command {
  const command = new Command("encode")
    .description("Encodes prompts, and writes a file of embeddings for `denoise`.")
    .argument("<prompts...>", "what the pictures show; each prompt makes one picture")
    .option("--no-negative", "omit the negative prompt, for denoising without guidance");
  addPrecisionOption(addRunOptions(addCaptionOptions(addModelOptions(command, DEFAULT_MODEL))))
    .requiredOption(
      "-o, --output <file>",
      "file for the embeddings: safetensors with diffusers' tensor names; - for the standard output",
    );
  return addStoreOptions(command).action(encode);
}

async function encode(prompts: string[], options: EncodeOptions, command: Command): Promise<void> {
  await checkOutputs([options.output], options);
  await checkTensorNames([options.output]);
  const graph = textToImage(pictureRequest(prompts, options), { pair: true });
  const run = await openRun(options, runOptions(options));
  const node = options.negative ? "pair" : "prompt";
  await showRun(graph, { ...run, ...memoryOptions(options) }, options, {
    signal: interruptSignal(),
    until: node,
    command,
    warnings: [
      ...(!options.negative && options.negativePrompt !== undefined
        ? ["--negative-prompt has no effect with --no-negative"]
        : []),
      ...ignoredOptions(command),
    ],
    save: async (made) => [await saveArtifact(made.get(`${node}.embeddings`)!, options.output)],
  });
}
