/**
 * pixstage on this machine: the built-in stages, checkpoints on disk and from the hub, ONNX Runtime, files.
 *
 * @module
 */

import "./images/codecs_in_node.ts";
import type { JsonObject } from "./artifacts/artifact.ts";
import { asJson } from "./artifacts/canonical_json.ts";
import { writeOutputFile } from "./disk/output_file.ts";
import { readFileRange } from "./artifacts/files_on_disk.ts";
import { defaultStoreFolder } from "./artifacts/store/default_folder.ts";
import { MemoryStore } from "./artifacts/store/memory_store.ts";
import type { RunStore } from "./artifacts/store/store.ts";
import { openUsableStore, type UsableStore } from "./artifacts/store/usable_store.ts";
import { InputError } from "./errors/pixstage_error.ts";
import { InlineExecutor } from "./graph/executors/inline.ts";
import { ProcessExecutor } from "./graph/executors/process.ts";
import { WorkerExecutor, type WorkerExecutorOptions } from "./graph/executors/worker.ts";
import { rememberedFingerprint } from "./graph/fingerprint_memo.ts";
import { loadPlugins } from "./graph/plugins.ts";
import { readArtifactFile, writeArtifactFile } from "./graph/provenance_file.ts";
import type { RunOptions } from "./graph/run_options.ts";
import { downloadProgressSchema } from "./hub/download.ts";
import { DEFAULT_MODEL, LocalModels, type LocalModelsOptions } from "./hub/local_models.ts";
import { Pixstage } from "./pixstage/pixstage.ts";
import { executorAt, isExecutorAddress } from "./queue/executor_at.ts";
import { OnnxRuntimeNode, type OnnxRuntimeNodeOptions } from "./runtime/onnxruntime_node.ts";
import { systemMemory } from "./system/system_memory.ts";
import { startWorker } from "./system/worker.ts";
import { builtInStages } from "./stages/mod.ts";

/** The sources of a run's checkpoints, its device, and the things to keep between runs. */
export interface LocalRunOptions
  extends LocalModelsOptions, OnnxRuntimeNodeOptions, Pick<RunOptions, "residency" | "store"> {
  /** Modules that add stages, for executors other than `inline`; see `loadPlugins`. */
  readonly plugins?: readonly string[] | undefined;
}

/** The result of {@linkcode localRun}. */
export type LocalRun =
  & Pick<RunOptions, "executors" | "store" | "residency" | "freeGpuMemory">
  & Required<Pick<RunOptions, "registry" | "readFile">>
  & {
    /** Opens checkpoints by reference. */
    readonly models: LocalModels;
  };

/** Options for opening pixstage on this machine. */
export interface OpenOptions extends Omit<LocalRunOptions, "store"> {
  /**
   * The default checkpoint: a folder, `org/name` or `org/name@revision`.
   *
   * @default {"pixstage-emoji"}
   */
  readonly model?: string | undefined;
  /**
   * Keeps artifacts and earlier results: a store, or the path of a folder. `false` means a store in memory.
   *
   * @default {the folder that the command line uses}
   */
  readonly store?: RunStore | string | false | undefined;
  /**
   * Where stages run: in this thread, each in a worker or a child process, on a server given by its URL, or
   * on the workers of a queue, such as `queue:redis://host`.
   *
   * @default {"inline"}
   */
  readonly executor?: string | undefined;
}

/**
 * Opens pixstage on this machine. Nothing is loaded before the first call.
 *
 * @param options Where to find checkpoints, which device to use, and what to keep.
 * @returns The library's entry point.
 * @throws {InputError} if there is no such executor.
 * @throws {PluginError} if a plugin cannot be loaded.
 *
 * @example A picture
 * ```ts
 * import { open } from "./local.ts";
 *
 * await using pix = await open({ store: false });
 * const [heart] = await pix.generate({ prompt: "a red heart", seed: 7, steps: 2 });
 * console.assert(heart?.width === 256 && heart.seed === "7");
 * ```
 */
export async function open(options: OpenOptions = {}): Promise<Pixstage> {
  const { model = DEFAULT_MODEL, executor = "inline", store: place, ...rest } = options;
  const { store, reason }: UsableStore = place === false
    ? { store: new MemoryStore() }
    : typeof place === "object"
    ? { store: place }
    : await openUsableStore(place ?? defaultStoreFolder());
  const listeners = new Set<(message: string) => void>();
  const onWarning = (message: string): void => {
    rest.onWarning?.(message);
    for (const listener of listeners) listener(message);
  };
  const run = localRun({ ...rest, store, onWarning });
  await loadPlugins(run.registry, rest.plugins ?? []);
  const known = run.executors.find(({ name }) => name === executor);
  if (!known && !isExecutorAddress(executor)) {
    throw new InputError(
      "invalid_value",
      `Cannot run stages: the executor must be inline, worker, process, or the address of a server or a queue, but is ` +
        `"${executor}"`,
    );
  }
  return new Pixstage({
    ...run,
    executors: [known ?? await executorAt(executor, { onRetry: rest.onWarning })],
    model,
    store,
    storeWarning: reason &&
      `The results of this call are not kept: ${reason}. Open another folder as the store, or none`,
    readBytes: (path) => readFileRange(path, 0, Infinity),
    files: {
      writePicture: (path, bytes) => writeOutputFile(path, [bytes]),
      writeArtifact: (path, { artifact, provenance }) => writeArtifactFile(path, artifact, provenance),
    },
    onHubWarning(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    freeMemory: () => systemMemory().available,
  });
}

/**
 * Returns the options with which {@linkcode runGraph} runs on this machine: in this thread, in workers or in
 * child processes.
 *
 * @param options Where to find checkpoints, which device to use, and what to keep.
 * @returns Options for `runGraph`, to which a signal and an event handler can be added.
 *
 * @example A picture of a cute cat
 * ```ts
 * import { localRun, runGraph, textToImage } from "./mod.ts";
 *
 * const graph = textToImage({ model: "pixstage-emoji", prompts: ["cute cat"] });
 * const made = await runGraph(graph, localRun());
 * console.assert(made.get("decode.image")!.artifact.kind === "image");
 * ```
 */
export function localRun(options: LocalRunOptions = {}): LocalRun {
  const { store, plugins = [], device, threads, residency, onProgress, ...modelOptions } = options;
  const models = new LocalModels({ ...modelOptions, onProgress });
  const runtime = new OnnxRuntimeNode({ device, threads });
  const fingerprint = store?.folder === undefined ? undefined : rememberedFingerprint(store.folder);
  const inline = new InlineExecutor({ models, runtime, fingerprint });
  const hosts = {
    trial: inline,
    plugins: [...plugins],
    models: asJson(modelOptions) as JsonObject,
    runtime: asJson({ device, threads }) as JsonObject,
    fingerprints: store?.folder,
    onWarning: modelOptions.onWarning,
    onDownload: onProgress && ((progress: JsonObject) => onProgress(downloadProgressSchema.parse(progress))),
  };
  const createWorker: WorkerExecutorOptions["createWorker"] = (listener) =>
    startWorker(new URL("./graph/hosts/worker_main.ts", import.meta.url), listener);
  return {
    registry: builtInStages(),
    models,
    executors: [
      inline,
      new WorkerExecutor({ ...hosts, createWorker }),
      new ProcessExecutor(hosts),
    ],
    readFile: readArtifactFile,
    store,
    residency,
    freeGpuMemory: runtime.freeGpuMemory,
  };
}
