/**
 * `plan`: reports how much memory a run would use, without running it.
 *
 * @module
 */

import { Command } from "commander";
import { stdout } from "node:process";
import prettyBytes from "pretty-bytes";
import { type MemoryPlan, requireFit } from "../graph/memory_plan.ts";
import { prepareRun } from "../graph/prepared_run.ts";
import { textToImage } from "../graph/text_to_image.ts";
import { DEFAULT_MODEL } from "../hub/local_models.ts";
import {
  addAutoencoderOptions,
  addPrintingOptions,
  addRequestOptions,
  addResourceOptions,
  type GenOptions,
} from "./gen_options.ts";
import { checkBeginning, imageInputs, memoryOptions, pictureRequest, runOptions } from "./gen_request.ts";
import { interruptSignal } from "./interrupt.ts";
import { allPrompts } from "./prompts_file.ts";
import { embeddedPrompts } from "./embedded_prompts.ts";
import { addExecutorOptions, openRun, type StoreOptions } from "./store_options.ts";
import { writeLine } from "./standard_streams.ts";
import { userPath } from "./user_path.ts";

/** Creates the `plan` command. */
export function planCommand(): Command {
  const command = new Command("plan")
    .description(
      "Predicts the memory of each stage of a run, and shows which settings keep it within --max-memory.",
    )
    .argument("[prompts...]", "as for gen");
  addPrintingOptions(addResourceOptions(addRequestOptions(addAutoencoderOptions(command), DEFAULT_MODEL)));
  return addExecutorOptions(command).action(plan);
}

type PlanOptions = GenOptions & Pick<StoreOptions, "executor" | "plugin">;

async function plan(given: string[], options: PlanOptions): Promise<void> {
  const { loadEmbeds, loadLatents, initNoise, until = "decode", executor, plugin, precision } = options;
  const prompts = await allPrompts(given, options);
  checkBeginning(prompts, options);
  const request = pictureRequest(prompts, options, await embeddedPrompts(loadEmbeds, options));
  const graph = textToImage(request, {
    embeddingsFile: loadEmbeds && userPath(loadEmbeds),
    noiseFile: initNoise && userPath(initNoise),
    latentsFile: loadLatents && userPath(loadLatents),
    ...imageInputs(options),
  });
  if (until !== "decode") delete graph.nodes["decode"];
  if (until === "encode") {
    for (const id of ["denoise", "denoise-begin", "picture", "mask", "control"]) {
      delete graph.nodes[id];
    }
  }
  // A plan reads only the headers of weights, and stores nothing. Only the plan goes to the standard output.
  const run = await openRun({ executor, plugin, precision, store: false }, {
    ...runOptions(options, { json: false }),
    fetches: false,
  });
  const { memory } = await prepareRun(graph, {
    ...run,
    ...memoryOptions(options),
    signal: interruptSignal(),
    isTrial: true,
  });
  if (options.json) writeLine(stdout, JSON.stringify(memory));
  else for (const line of describePlan(memory)) writeLine(stdout, line);
  requireFit(memory);
}

/** Formats a plan for people to read, one line for each stage. */
function describePlan(plan: MemoryPlan): string[] {
  const longest = Math.max(...plan.stages.map(({ stage }) => stage.length));
  const lines = plan.stages.map((stage) => {
    const { residency, precision, tiling, tileSize, guidanceBranches } = stage;
    const choices = [
      residency,
      ...(precision === undefined ? [] : [precision]),
      ...(tiling === undefined ? [] : [tileSize === undefined ? tiling : `${tiling} tiles of ${tileSize}`]),
      ...(guidanceBranches === undefined ? [] : [
        guidanceBranches === 1 ? "one branch of guidance at a time" : "both branches of guidance at once",
      ]),
    ];
    const gpu = stage.predictedGpuPeak === undefined ? "" : `, GPU ${prettyBytes(stage.predictedGpuPeak)}`;
    return `${stage.stage.padEnd(longest)} ${prettyBytes(stage.predictedPeak, { fixedWidth: 8 })}  ${
      choices.join(", ")
    }  ` +
      `(weights ${prettyBytes(stage.weightBytes)}${gpu})`;
  });
  const limit = plan.limitBytes === undefined ? "" : `, limit ${prettyBytes(plan.limitBytes)}`;
  return [...lines, `peak of the whole run: ${prettyBytes(plan.predictedPeak)}${limit}`, ...plan.problems];
}
