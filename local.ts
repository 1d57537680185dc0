/**
 * Runs on this machine: the built-in stages, checkpoints of the disk and the hub, ONNX Runtime, files.
 *
 * @module
 */

import type { JsonObject } from "./artifacts/artifact.ts";
import { asJson } from "./artifacts/canonical_json.ts";
import type { RunStore } from "./artifacts/store/store.ts";
import { InlineExecutor } from "./graph/executors/inline.ts";
import { ProcessExecutor } from "./graph/executors/process.ts";
import { WorkerExecutor } from "./graph/executors/worker.ts";
import { rememberedFingerprint } from "./graph/fingerprint_memo.ts";
import { readArtifactFile } from "./graph/provenance_file.ts";
import type { RunOptions } from "./graph/run_options.ts";
import { downloadProgressSchema } from "./hub/download_progress.ts";
import { LocalModels, type LocalModelsOptions } from "./hub/local_models.ts";
import { OnnxRuntimeNode, type OnnxRuntimeNodeOptions } from "./runtime/onnxruntime_node.ts";
import { builtInStages } from "./stages/mod.ts";

/** Where runs find checkpoints, what they run on, and what they keep. */
export interface LocalRunOptions
  extends LocalModelsOptions, OnnxRuntimeNodeOptions, Pick<RunOptions, "residency" | "store"> {
  /** Modules that bring stages of their own, for executors other than `inline`; see `loadPlugins`. */
  readonly plugins?: readonly string[] | undefined;
}

/** The result of {@linkcode localRun}. */
export type LocalRun =
  & Pick<RunOptions, "executors" | "store" | "residency">
  & Required<Pick<RunOptions, "registry" | "readFile">>
  & {
    /** Opens checkpoints by reference. */
    readonly models: LocalModels;
  };

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
 * const graph = textToImage({ model: "pixstage-emoji", prompts: ["cute cat"] });
 * const made = await runGraph(graph, localRun());
 * const image = made.get("decode.image");
 * ```
 */
export function localRun(options: LocalRunOptions = {}): LocalRun {
  const { store, plugins = [], device, threads, residency, onProgress, ...modelOptions } = options;
  const models = new LocalModels({ ...modelOptions, ...(onProgress ? { onProgress } : {}) });
  const runtime = new OnnxRuntimeNode({ device, threads });
  const fingerprint = store?.folder === undefined ? undefined : rememberedFingerprint(store.folder);
  const hosts = {
    plugins: [...plugins],
    models: asJson(modelOptions) as JsonObject,
    runtime: asJson({ device, threads }) as JsonObject,
    ...(store?.folder === undefined ? {} : { fingerprints: store.folder }),
    onDownload: onProgress && ((progress: JsonObject) => onProgress(downloadProgressSchema.parse(progress))),
  };
  const createWorker = () =>
    new Worker(new URL("./graph/hosts/worker_main.ts", import.meta.url), { type: "module" });
  return {
    registry: builtInStages(),
    models,
    executors: [
      new InlineExecutor({ models, runtime, fingerprint }),
      new WorkerExecutor({ ...hosts, createWorker }),
      new ProcessExecutor(hosts),
    ],
    readFile: readArtifactFile,
    store,
    residency,
  };
}
