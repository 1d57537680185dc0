/**
 * `gen`: prompts to pictures.
 *
 * @module
 */

import { Command } from "commander";
import type { GraphDocumentInput } from "../graph/document.ts";
import type { PictureRequestInput } from "../graph/picture_request.ts";
import { splitSource } from "../graph/plan.ts";
import type { RunResult } from "../graph/run_options.ts";
import { embeddingsSource, textToImage } from "../graph/text_to_image.ts";
import { DEFAULT_MODEL, LocalModels } from "../hub/local_models.ts";
import type { Models } from "../models/models.ts";
import type { MemoryPlan } from "../residency/plan_memory.ts";
import { guidanceScaleOf } from "../stages/denoise_settings.ts";
import { defaultName } from "../graph/describe_picture.ts";
import { addGenOptions, type GenOptions, pictureRequest, runOptions } from "./gen_options.ts";
import { interruptSignal } from "./interrupt.ts";
import { followPlan, planRun } from "./memory_plan.ts";
import { checkOutputs } from "./output.ts";
import { pictureFormat } from "./save_pictures.ts";
import { saveArtifact, saveMadePictures, showRun } from "./shown_run.ts";
import { addStoreOptions, openRun, type StoreOptions } from "./store_options.ts";
import { UsageError } from "./usage_error.ts";
import { userPath } from "./user_path.ts";

/** Makes the command. */
export function genCommand(): Command {
  const command = new Command("gen")
    .description("Makes pictures from text.")
    .argument("[prompts...]", "what the pictures show; each prompt gives a picture");
  return addStoreOptions(addGenOptions(command, DEFAULT_MODEL)).action(gen);
}

/** Runs the command. */
async function gen(prompts: string[], options: GenOptions & StoreOptions): Promise<void> {
  // 1. Refuse what cannot work.
  checkOptions(prompts, options);
  const { output, saveEmbeds, saveLatents, saveTensor, until = "decode" } = options;
  await checkOutputs([output, saveEmbeds, saveLatents, saveTensor], {
    ...options,
    namesFiles: output === undefined && until === "decode",
  });
  const asked = pictureRequest(prompts, options);
  const signal = interruptSignal();

  // 2. Write the graph. Whether it is guided may be the checkpoint's own choice.
  const { plan, request, residency } = await planMemory(asked, options, signal);
  const local = await openRun(options, { ...runOptions(options), ...(residency ? { residency } : {}) });
  const { graph, guided } = await writeGraph(request, options, local.models, signal);

  // 3. Run it, and write what was asked for.
  await showRun(graph, local, options, {
    signal,
    plan,
    until: untilNode(until, guided),
    outputs: [
      ...(saveEmbeds ? [embeddingsSource(guided)] : []),
      ...(saveLatents ? ["denoise.latents"] : []),
    ],
    save: (made) => save(made, options, guided),
  });
}

/** Plans the run's memory; where a limit is given, the plan is followed. */
async function planMemory(
  asked: PictureRequestInput,
  options: GenOptions,
  signal: AbortSignal,
): Promise<{
  readonly plan?: MemoryPlan;
  readonly request: PictureRequestInput;
  readonly residency?: NonNullable<GenOptions["residency"]>;
}> {
  const { maxMemory, json, memoryReport } = options;
  if (maxMemory === undefined && !json && !memoryReport) return { request: asked };
  const plan = await planRun(asked, options, new LocalModels(runOptions(options)), signal);
  return maxMemory === undefined ? { plan, request: asked } : { plan, ...followPlan(asked, plan) };
}

/** Refuses what can be refused without reading anything. */
function checkOptions(prompts: readonly string[], options: GenOptions): void {
  const { loadEmbeds, loadLatents, until, saveEmbeds, saveLatents } = options;
  const begin = [
    prompts.length > 0 && "a prompt",
    loadEmbeds && "--load-embeds",
    loadLatents && "--load-latents",
  ]
    .filter((given) => typeof given === "string");
  if (begin.length !== 1) {
    throw new UsageError(
      `Cannot begin as one of a prompt, --load-embeds and --load-latents must be given: ` +
        `given are ${begin.join(" and ") || "none"}`,
    );
  }
  if (until === "encode" && saveEmbeds === undefined) {
    throw new UsageError("Cannot stop after encoding as nothing would be kept: give --save-embeds FILE");
  }
  if (until === "denoise" && saveLatents === undefined) {
    throw new UsageError("Cannot stop after denoising as nothing would be kept: give --save-latents FILE");
  }
  if ((loadLatents && until && until !== "decode") || (loadEmbeds && until === "encode")) {
    throw new UsageError(`Cannot stop after "${until}" as the run begins behind it`);
  }
  pictureFormat({ output: options.output, format: options.outputFormat });
}

/** The graph of the run, and whether it is guided. */
async function writeGraph(
  request: PictureRequestInput,
  options: GenOptions,
  models: Models,
  signal: AbortSignal,
): Promise<{ graph: GraphDocumentInput; guided: boolean }> {
  const files = {
    embeddingsFile: options.loadEmbeds && userPath(options.loadEmbeds),
    noiseFile: options.initNoise && userPath(options.initNoise),
    latentsFile: options.loadLatents && userPath(options.loadLatents),
  };
  if (files.latentsFile) return { graph: textToImage(request, { guided: false, ...files }), guided: false };
  const { defaults, ...checkpoint } = await models.open(request, signal);
  const guided = guidanceScaleOf(request, { defaults, ...checkpoint }) > 1;
  const negativePrompt = request.negativePrompt ?? defaults.negativePrompt ?? "";
  return { graph: textToImage({ ...request, negativePrompt }, { guided, ...files }), guided };
}

/** The node that a run stops after. */
function untilNode(until: NonNullable<GenOptions["until"]>, guided: boolean): string {
  return until === "encode" ? splitSource(embeddingsSource(guided))[0] : until;
}

/** Writes the files that were asked for, and gives their paths. */
async function save(
  made: RunResult,
  options: GenOptions,
  guided: boolean,
): Promise<string[]> {
  const paths: string[] = [];
  const artifacts: [file: string | undefined, output: string][] = [
    [options.saveEmbeds, embeddingsSource(guided)],
    [options.saveLatents, "denoise.latents"],
    [options.saveTensor, "decode.image"],
  ];
  for (const [file, output] of artifacts) {
    const found = made.get(output);
    if (file === undefined || !found) continue;
    paths.push(await saveArtifact(found, file));
  }
  const image = made.get("decode.image");
  if (!image) return paths;
  const format = pictureFormat({ output: options.output, format: options.outputFormat });
  const output = options.output ?? defaultName(image.artifact.metadata, format);
  return [...paths, ...await saveMadePictures(image, { output, format })];
}
