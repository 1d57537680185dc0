/**
 * `gen`: prompts to pictures.
 *
 * @module
 */

import { Command } from "commander";
import { stderr, stdout } from "node:process";
import type { GraphDocumentInput } from "../graph/document.ts";
import type { RunEvent } from "../graph/events.ts";
import type { PictureRequestInput } from "../graph/picture_request.ts";
import { splitSource } from "../graph/plan.ts";
import { writeArtifactFile } from "../graph/provenance_file.ts";
import { runGraph } from "../graph/run.ts";
import type { RunResult } from "../graph/run_options.ts";
import { embeddingsSource, textToImage } from "../graph/text_to_image.ts";
import { DEFAULT_MODEL, LocalModels } from "../hub/local_models.ts";
import type { Models } from "../models/models.ts";
import type { MemoryPlan } from "../residency/plan_memory.ts";
import { guidanceScaleOf } from "../stages/denoise_settings.ts";
import { defaultName, describePicture } from "../graph/describe_picture.ts";
import { addGenOptions, type GenOptions, pictureRequest, runOptions } from "./gen_options.ts";
import { interruptSignal } from "./interrupt.ts";
import { followPlan, planRun } from "./memory_plan.ts";
import { MemoryReporter } from "./memory_report.ts";
import { progressView, writeLine } from "./progress.ts";
import { pictureFormat, savePictures } from "./save_pictures.ts";
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
  const asked = pictureRequest(prompts, options);
  const signal = interruptSignal();

  // 2. Write the graph. Whether it is guided may be the checkpoint's own choice.
  const place = runOptions(options);
  const { plan, request, residency } = await planMemory(asked, options, new LocalModels(place), signal);
  const local = await openRun(options, { ...place, ...(residency ? { residency } : {}) });
  const { graph, guided } = await writeGraph(request, options, local.models, signal);

  // 3. Run it.
  const view = progressView(options);
  const memory = new MemoryReporter(plan);
  if (options.json && plan) writeLine(stdout, JSON.stringify({ type: "plan", ...plan }));
  let last: RunEvent | undefined;
  const made = await runGraph(graph, {
    ...local,
    signal,
    until: untilNode(options.until ?? "decode", guided),
    outputs: [
      ...(options.saveEmbeds ? [embeddingsSource(guided)] : []),
      ...(options.saveLatents ? ["denoise.latents"] : []),
    ],
    onEvent(event) {
      last = event;
      memory.take(event);
      view(event);
    },
  });

  // 4. Write what was asked for, and say so.
  const paths = await save(made, options, guided);
  for (const path of paths) {
    if (options.json) writeLine(stdout, JSON.stringify({ type: "file", path }));
    else if (!options.quiet) writeLine(stdout, path);
  }
  memory.tell(options);
  if (stderr.isTTY && !options.memoryReport && !options.json && !options.quiet && last?.type === "done") {
    const peak = last.peakBytes ? `, peak ${Math.round(last.peakBytes / 1e6)} MB` : "";
    writeLine(stderr, `${(last.elapsedMs / 1000).toFixed(1)} s${peak}`);
  }
}

/** Plans the run's memory; where a limit is given, the plan is followed. */
async function planMemory(
  asked: PictureRequestInput,
  options: GenOptions,
  models: Models,
  signal: AbortSignal,
): Promise<{
  readonly plan?: MemoryPlan;
  readonly request: PictureRequestInput;
  readonly residency?: NonNullable<GenOptions["residency"]>;
}> {
  const { maxMemory, json, memoryReport } = options;
  if (maxMemory === undefined && !json && !memoryReport) return { request: asked };
  const plan = await planRun(asked, options, models, signal);
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
    await writeArtifactFile(userPath(file), found.artifact, found.provenance);
    paths.push(userPath(file));
  }
  const image = made.get("decode.image");
  if (!image) return paths;
  const { artifact, provenance } = image;
  const format = pictureFormat({ output: options.output, format: options.outputFormat });
  const output = options.output ?? defaultName(artifact.metadata, format);
  const describe = (index: number) => describePicture(artifact, index, provenance);
  return [...paths, ...await savePictures(artifact, { output, format }, describe)];
}
