/**
 * `decode`: decodes a file of latents to pictures. It needs only the autoencoder.
 *
 * @module
 */

import { Command } from "commander";
import { textToImage } from "../graph/text_to_image.ts";
import { DEFAULT_MODEL } from "../hub/local_models.ts";
import { defaultName } from "../graph/describe_picture.ts";
import { addModelOptions, addPictureOptions, addRunOptions, type GenOptions } from "./gen_options.ts";
import { memoryOptions, pictureRequest, runOptions } from "./gen_request.ts";
import { ignoredOptions } from "./ignored_options.ts";
import { interruptSignal } from "./interrupt.ts";
import { checkOutputs, checkTensorNames } from "./output.ts";
import { checkPictureFiles, pictureFormat } from "./save_pictures.ts";
import { saveArtifact, saveMadePictures, showRun } from "./show_run.ts";
import { addStoreOptions, openRun, type StoreOptions } from "./store_options.ts";
import { userPath } from "./user_path.ts";

/** Creates the `decode` command. */
export function decodeCommand(): Command {
  const command = new Command("decode")
    .description("Decodes a file of latents into pictures.")
    .argument("<latents>", "file of latents");
  return addStoreOptions(addRunOptions(addPictureOptions(addModelOptions(command, DEFAULT_MODEL)))).action(
    decode,
  );
}

async function decode(
  latents: string,
  options: GenOptions & StoreOptions,
  command: Command,
): Promise<void> {
  const { output, outputFormat, saveTensor } = options;
  const format = pictureFormat({ output, format: outputFormat }, { hasFormatOption: true });
  await checkOutputs([output, saveTensor], { json: options.json, namesFiles: output === undefined });
  await checkTensorNames([saveTensor]);
  const graph = textToImage(pictureRequest([], options), { latentsFile: userPath(latents) });
  const signal = interruptSignal();
  const run = await openRun(options, runOptions(options));
  await showRun(graph, { ...run, ...memoryOptions(options) }, options, {
    signal,
    command,
    warnings: ignoredOptions(command),
    onPrepared: async (outlines) => {
      if (output !== undefined) await checkPictureFiles(outlines.get("decode.image"), output);
    },
    save: async (made) => {
      const image = made.get("decode.image")!;
      const tensor = saveTensor === undefined ? [] : [await saveArtifact(image, saveTensor)];
      const name = output ?? defaultName(image.artifact.metadata, format);
      return [...tensor, ...await saveMadePictures(image, { output: name, format })];
    },
  });
}
