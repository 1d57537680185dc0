/**
 * Runs on this machine: the built-in stages, checkpoints of the disk and the hub, ONNX Runtime, files.
 *
 * @module
 */

import type { JsonObject } from "./artifacts/artifact.ts";
import type { RunStore } from "./artifacts/store/store.ts";
import { InlineExecutor } from "./graph/executors/inline.ts";
import { ProcessExecutor } from "./graph/executors/process.ts";
import { WorkerExecutor } from "./graph/executors/worker.ts";
import { rememberedFingerprint } from "./graph/fingerprint_memo.ts";
import { asJson } from "./graph/node_key.ts";
import { readArtifactFile } from "./graph/provenance_file.ts";
import type { RunOptions } from "./graph/run_options.ts";
import { LocalModels, type LocalModelsOptions } from "./hub/local_models.ts";
import { OnnxRuntimeNode, type OnnxRuntimeNodeOptions } from "./runtime/onnxruntime_node.ts";
import { builtInStages } from "./stages/mod.ts";

/** Where runs find checkpoints, what they run on, and what they keep. */
export interface LocalRunOptions extends LocalModelsOptions, OnnxRuntimeNodeOptions {
  /** Keeps what is made, and knows what was made before. Default is one that is forgotten after the run. */
  readonly store?: RunStore | undefined;
  /** Modules that bring stages of their own, for executors other than `inline`; see `loadPlugins`. */
  readonly plugins?: readonly string[] | undefined;
}

/** What {@linkcode localRun} gives. */
export type LocalRun =
  & Pick<RunOptions, "models" | "executors" | "store" | "fingerprint" | "numerics">
  & Required<Pick<RunOptions, "registry" | "readFile">>;

/**
 * What {@linkcode runGraph} needs to run on this machine: in this thread, in workers or in child processes.
 *
 * @param options Where to find checkpoints, what to run on, and what to keep.
 * @returns Options for `runGraph`, to which a signal and an event handler can be added.
 *
 * @example A picture of a cute cat
 * ```ts ignore
 * import { localRun, runGraph, textToImage } from "./mod.ts";
 *
 * const graph = textToImage({ model: "pixstage-emoji", prompts: ["cute cat"] }, { guided: true });
 * const made = await runGraph(graph, localRun());
 * const image = made.get("decode.image");
 * ```
 */
export function localRun(options: LocalRunOptions = {}): LocalRun {
  const { store, plugins = [], device = "cpu", threads, residency, ...modelOptions } = options;
  const models = new LocalModels(modelOptions);
  const runtime = new OnnxRuntimeNode(options);
  const elsewhere = {
    plugins,
    models: asJson(modelOptions) as JsonObject,
    runtime: asJson({ device, threads, residency }) as JsonObject,
  };
  const createWorker = () =>
    new Worker(new URL("./graph/executors/worker_main.ts", import.meta.url), { type: "module" });
  return {
    registry: builtInStages(),
    models,
    executors: [
      new InlineExecutor({ models, runtime }),
      new WorkerExecutor({ ...elsewhere, createWorker }),
      new ProcessExecutor(elsewhere),
    ],
    readFile: readArtifactFile,
    store,
    ...(store?.folder === undefined ? {} : { fingerprint: rememberedFingerprint(store.folder) }),
    // Devices differ in the last digits of what they compute.
    ...(device === "cpu" ? {} : { numerics: { device } }),
  };
}
