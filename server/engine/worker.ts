/**
 * A worker of the engine: runs graphs and writes pictures in a thread of its own, as ONNX Runtime blocks the thread that
 * it runs in.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { constants, platform, setPriority } from "node:os";
import { z } from "zod";
import type { Artifact } from "../../artifacts/artifact.ts";
import { FolderStore } from "../../artifacts/store/folder_store.ts";
import type { Tensor } from "../../artifacts/tensor.ts";
import { describePicture } from "../../graph/describe_picture.ts";
import { InlineExecutor } from "../../graph/executors/inline.ts";
import { rememberedFingerprint } from "../../graph/fingerprint_memo.ts";
import { storedOrigin } from "../../graph/lineage.ts";
import { prepareRun } from "../../graph/prepared_run.ts";
import { describeOrigin } from "../../graph/provenance.ts";
import { runGraph } from "../../graph/run.ts";
import type { RunOptions } from "../../graph/run_options.ts";
import { LocalModels } from "../../hub/local_models.ts";
import { encodePicture } from "../../images/picture.ts";
import { toPixels } from "../../images/pixels.ts";
import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
import { builtInStages } from "../../stages/mod.ts";
import { serializeError } from "../../errors/serialized_error.ts";
import type { EngineResult, MadeOutput, PictureOrder } from "./engine.ts";
import { ListedModels } from "../../hub/listed_models.ts";
import type { FromWorker, ToWorker, WorkerResults, WorkerSetup, WorkerTask } from "./messages.ts";
import { shrink } from "./shrink.ts";

/** Kept sessions are given back when the process has grown beyond this. */
const KEPT_BYTES = 3e9;

/** What this worker does, once it is set up. */
class EngineWorker {
  #run: Omit<RunOptions, "store"> & { readonly store: FolderStore };
  #running = new Map<number, AbortController>();

  #runtime: OnnxRuntimeNode;

  constructor({ models: entries, store, device, threads, residency }: WorkerSetup) {
    const models = new ListedModels(entries, new LocalModels({ localFilesOnly: true }));
    const runtime = new OnnxRuntimeNode({ device, threads });
    this.#runtime = runtime;
    this.#run = {
      registry: builtInStages(),
      executors: [new InlineExecutor({ models, runtime, fingerprint: rememberedFingerprint(store) })],
      store: new FolderStore(store),
      residency: residency === undefined ? undefined : { "*": residency },
    };
  }

  /** Stops a run at its next step. */
  cancel(id: number): void {
    this.#running.get(id)?.abort();
  }

  /** Does one task. */
  async do(id: number, task: WorkerTask): Promise<WorkerResults[WorkerTask["type"]]> {
    switch (task.type) {
      case "check":
        return await this.#check(task.graph);
      case "run":
        return await this.#runGraph(id, task);
      case "picture":
        return await this.#picture(task.order);
    }
  }

  async #check(graph: unknown): Promise<undefined> {
    await prepareRun(graph, this.#run);
  }

  async #runGraph(id: number, { graph, previews }: WorkerTask & { type: "run" }): Promise<EngineResult> {
    const controller = new AbortController();
    this.#running.set(id, controller);
    const outputs: Record<string, MadeOutput> = {};
    try {
      const made = await runGraph(graph, {
        ...this.#run,
        previews,
        signal: controller.signal,
        onEvent(event) {
          if (event.type === "artifact") {
            outputs[`${event.node}.${event.port}`] = { id: event.id, kind: event.kind };
          }
          post({ type: "event", id, event });
        },
      });
      for (const [output, { artifact }] of made) {
        outputs[output] = { ...outputs[output]!, ...pictures(artifact) };
      }
      return outputs;
    } finally {
      this.#running.delete(id);
      // Sessions are kept for each size of picture: clients that ask for all of them must not fill the memory.
      if (this.#running.size === 0 && this.#runtime.memory().resident > KEPT_BYTES) {
        await this.#runtime.release();
      }
    }
  }

  async #picture(order: PictureOrder): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { artifact: id, image, format, quality, atLeast } = order;
    const { store } = this.#run;
    const artifact = await store.get(id);
    const pixels = artifact?.kind === "image" &&
      toPixels(artifact.tensors["image"] as Tensor<"float32">)[image];
    if (!artifact || !pixels) return undefined;
    const shrunk = atLeast === undefined ? pixels : shrink(pixels, atLeast);
    const provenance = describeOrigin(await storedOrigin(id, store));
    return await encodePicture(shrunk, {
      format,
      ...(quality === undefined ? {} : { quality }),
      metadata: atLeast === undefined ? describePicture(artifact, image, provenance) : {},
    });
  }
}

/** How many pictures an artifact holds, of which size and seeds. */
function pictures({ kind, tensors, metadata }: Artifact): Partial<MadeOutput> {
  const [images, , height, width] = tensors["image"]?.shape ?? [];
  if (kind !== "image" || !images || !height || !width) return {};
  const seeds = seedsSchema.safeParse(metadata["seeds"]);
  return { images, height, width, ...(seeds.success ? { seeds: seeds.data } : {}) };
}

const seedsSchema = z.array(z.string());

function post(message: FromWorker, transfer: Transferable[] = []): void {
  self.postMessage(message, transfer);
}

// What computes gives way to the thread that answers. On Linux this holds for this thread and those that it starts.
try {
  if (platform() === "linux") setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
} catch {
  // Where that is forbidden, all threads are equal.
}

let worker: EngineWorker | undefined;

self.onmessage = async ({ data }: MessageEvent<ToWorker>): Promise<void> => {
  if (data.type === "setup") {
    worker = new EngineWorker(data.setup);
    return post({ type: "ready" });
  }
  if (data.type === "cancel") return worker?.cancel(data.id);
  const { id } = data;
  try {
    const result = await worker!.do(id, data);
    post({ type: "result", id, result }, result instanceof Uint8Array ? [result.buffer] : []);
  } catch (error) {
    post({ type: "error", id, error: serializeError(error) });
  }
};
