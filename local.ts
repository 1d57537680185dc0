/**
 * Runs on this machine: the built-in stages, checkpoints of the disk and the hub, ONNX Runtime, files.
 *
 * @module
 */

import { InlineExecutor } from "./graph/executors/inline.ts";
import { readArtifactFile } from "./graph/provenance_file.ts";
import type { RunOptions } from "./graph/run.ts";
import { LocalModels, type LocalModelsOptions } from "./hub/local_models.ts";
import { OnnxRuntimeNode, type OnnxRuntimeNodeOptions } from "./runtime/onnxruntime_node.ts";
import { builtInStages } from "./stages/mod.ts";

/** Where runs find checkpoints, and what they run on. */
export type LocalRunOptions = LocalModelsOptions & OnnxRuntimeNodeOptions;

/**
 * What {@linkcode runGraph} needs to run on this machine.
 *
 * @param options Where to find checkpoints, and what to run on.
 * @returns Options for `runGraph`, to which a signal and an event handler can be added.
 *
 * @example A picture of a cute cat
 * ```ts no-eval
 * import { localRun, runGraph, textToImage } from "./mod.ts";
 *
 * const graph = textToImage({ model: "pixstage-emoji", prompts: ["cute cat"] }, { guided: true });
 * const made = await runGraph(graph, localRun());
 * const image = made.get("decode.image");
 * ```
 */
export function localRun(
  options: LocalRunOptions = {},
): Pick<RunOptions, "registry" | "models" | "executors" | "readFile"> {
  const models = new LocalModels(options);
  const runtime = new OnnxRuntimeNode(options);
  return {
    registry: builtInStages(),
    models,
    executors: [new InlineExecutor({ models, runtime })],
    readFile: readArtifactFile,
  };
}
