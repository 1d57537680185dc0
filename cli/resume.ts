/**
 * `resume`: continues from the results of an earlier run: embeddings, latents, or a snapshot of denoising.
 *
 * @module
 */

import { Command } from "commander";
import { splitSource } from "../graph/plan.ts";
import { type ResumeChanges, resumeGraph } from "../graph/resume.ts";
import { defaultName } from "../graph/describe_picture.ts";
import { addPictureOptions, addRunOptions, type GenOptions } from "./gen_options.ts";
import { memoryOptions, runOptions } from "./gen_request.ts";
import { ignoredOptions } from "./ignored_options.ts";
import { interruptSignal } from "./interrupt.ts";
import { findProvenance } from "./find_provenance.ts";
import { pathOrName } from "./path_or_name.ts";
import { interval, number, seeds, texts, wholeNumber } from "./option_values.ts";
import { checkOutputs, checkTensorNames } from "./output.ts";
import { checkPictureFiles, pictureFormat } from "./save_pictures.ts";
import { openInputStore } from "./run_store.ts";
import { saveArtifact, saveMadePictures, showRun } from "./show_run.ts";
import { addStoreOptions, openRun, type StoreOptions } from "./store_options.ts";
import { UsageError } from "./usage_error.ts";

type ResumeOptions = Omit<GenOptions, "until"> & StoreOptions & {
  readonly fromStep?: number;
  readonly stepsMore?: number;
  readonly prompt?: readonly string[];
  readonly saveLatents?: string;
};

/** Creates the `resume` command. */
export function resumeCommand(): Command {
  const command = new Command("resume")
    .description("Continues from embeddings, from latents, or from the middle of denoising.")
    .argument("<file|id>", "safetensors file, picture, or the beginning of an id in the store")
    .option("--from-step <k>", "keep the first k steps, and continue from there", wholeNumber(1))
    .option("--steps-more <n>", "take n more steps, and write a snapshot again", wholeNumber(1))
    .option("--guidance-scale <x>", "guidance scale for the remaining steps", number)
    .option(
      "--guidance-interval <start,end>",
      "range of all steps with guidance; applies to the remaining steps",
      interval,
    )
    .option(
      "-s, --seed <n,n...>",
      "new seed of the first picture, or a seed per picture; not for a snapshot",
      seeds,
    )
    .option(
      "--prompt <text>",
      "new prompt for the remaining steps; repeatable, one per prompt of the run",
      texts,
    )
    .option(
      "-n, --negative-prompt <text>",
      "new negative prompt for the remaining steps; repeatable, one per prompt of the run",
      texts,
    )
    .option("--save-latents <file>", "save the latents instead of decoding them");
  return addStoreOptions(addRunOptions(addPictureOptions(command))).action(resume);
}

async function resume(target: string, options: ResumeOptions, command: Command): Promise<void> {
  const { output, outputFormat, stepsMore, saveLatents, saveTensor } = options;
  if (stepsMore !== undefined && !output?.endsWith(".safetensors")) {
    throw new UsageError(
      "Cannot stop before the end because the snapshot would be lost: give -o FILE.safetensors",
    );
  }
  if (stepsMore !== undefined && saveLatents !== undefined) {
    throw new UsageError(
      "Cannot save latents before the end: with --steps-more, give only -o FILE.safetensors for the snapshot",
    );
  }
  const format = stepsMore === undefined
    ? pictureFormat({ output, format: outputFormat }, { hasFormatOption: true })
    : "png";
  const isNamed = output !== undefined || saveLatents !== undefined;
  await checkOutputs(saveLatents === undefined ? [output, saveTensor] : [saveLatents], {
    json: options.json,
    namesFiles: !isNamed,
  });
  await checkTensorNames([saveLatents, saveTensor]);
  const signal = interruptSignal();
  const run = await openRun(options, runOptions(options));
  const store = run.store ?? openInputStore();
  const made = await findProvenance(target, store);
  const { graph, wanted } = resumeGraph(made, changes(options));
  await showRun(graph, { ...run, ...memoryOptions(options), store }, options, {
    signal,
    command,
    warnings: ignoredOptions(
      command,
      saveLatents === undefined && stepsMore === undefined ? [] : ["decode"],
      {
        // The snapshot is written there.
        used: stepsMore === undefined ? [] : ["output"],
      },
    ),
    until: splitSource(wanted)[0],
    onPrepared: async (outlines) => {
      if (output !== undefined) await checkPictureFiles(outlines.get(wanted), output);
    },
    save: async (result) => {
      const last = result.get(wanted)!;
      if (saveLatents !== undefined) return [await saveArtifact(last, saveLatents)];
      if (last.artifact.kind !== "image") return [await saveArtifact(last, output!)];
      const tensor = saveTensor === undefined ? [] : [await saveArtifact(last, saveTensor)];
      const name = output ?? defaultName(last.artifact.metadata, format);
      return [...tensor, ...await saveMadePictures(last, { output: name, format })];
    },
  });
}

function changes(
  {
    fromStep,
    stepsMore,
    guidanceScale,
    guidanceInterval,
    seed,
    prompt,
    negativePrompt,
    vae,
    saveLatents,
    vaeTiling,
    vaeTileSize,
    vaeTileOverlap,
  }: ResumeOptions,
): ResumeChanges {
  return {
    tiling: vaeTiling,
    tileSize: vaeTileSize,
    tileOverlap: vaeTileOverlap,
    fromStep,
    stepsMore,
    guidanceScale,
    guidanceInterval,
    seeds: seed,
    prompts: prompt,
    negativePrompt,
    vae: vae === undefined ? undefined : pathOrName(vae),
    decode: saveLatents === undefined,
  };
}
