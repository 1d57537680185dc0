import { z } from "zod";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { asJson } from "../../artifacts/canonical_json.ts";
import { FolderStore } from "../../artifacts/store/folder_store.ts";
import type { RunStore } from "../../artifacts/store/store.ts";
import type { Executor, Preparation, PrepareRequest } from "../../graph/executors/executor.ts";
import { ProcessExecutor } from "../../graph/executors/process.ts";
import type { MemoryLimits } from "../../graph/memory_plan.ts";
import type { WarmHost } from "../../graph/hosts/warm_hosts.ts";
import { prepareRun } from "../../graph/prepared_run.ts";
import { executeGraph } from "../../graph/run.ts";
import type { PrepareOptions } from "../../graph/run_options.ts";
import type { ModelEntry } from "../../hub/listed_models.ts";
import type { Residency } from "../../models/segments.ts";
import type { Device } from "../../runtime/device.ts";
import { freeGpuMemory } from "../../runtime/gpu_memory.ts";
import type { StageRegistry } from "../../stages/registry.ts";
import type { CheckedGraph, Engine, EngineResult, EngineRun, MadeOutput } from "./engine.ts";
import { FreedMemory } from "./freed_memory.ts";
import { picturesOfRun } from "./pictures_of_run.ts";
import { Slots } from "./slots.ts";

/** Options of a {@linkcode HostedEngine}. */
export interface HostedEngineOptions extends MemoryLimits {
  /** The stages that graphs may name. */
  readonly registry: StageRegistry;
  /** The models that stages may name. */
  readonly models: readonly ModelEntry[];
  /** The LoRA adapters that stages may name. */
  readonly loras?: readonly ModelEntry[] | undefined;
  /** Path of the store's folder. */
  readonly store: string;
  /**
   * The store that receives the results of runs.
   *
   * @default {the folder}
   */
  readonly results?: RunStore | undefined;
  /** Addresses of plugin modules, which add stages, architectures and schedulers. */
  readonly plugins?: readonly string[] | undefined;
  /**
   * Number of graphs that run at once, each in its own process. The runs share the devices in turn.
   *
   * @default {one per device}
   */
  readonly concurrency?: number | undefined;
  /**
   * The devices to run on. With several GPUs, as many graphs run at once.
   *
   * @default {["cpu"]}
   */
  readonly devices?: readonly Device[] | undefined;
  /** Threads per operation. */
  readonly threads?: number | undefined;
  /** How long all stages keep their weights. Defaults to what suits each stage. */
  readonly residency?: Residency | undefined;
  /**
   * Milliseconds that processes and their weights stay after a run, unless the run says otherwise.
   *
   * @default {Infinity}
   */
  readonly keepAliveMs?: number | undefined;
  /** Runs the stages instead of child processes, e.g. on the workers of a queue. */
  readonly executor?: ClosableExecutor | undefined;
}

/** An executor that keeps resources open between runs. */
export interface ClosableExecutor extends Executor {
  /** Closes the open resources. */
  close(): Promise<void>;
}

/**
 * Number of graphs and stages prepared at once. Each can need its own process, and each reads its input
 * artifacts.
 */
const CHECKS_AT_ONCE = 2;

/** Milliseconds that a stage has to stop at its next step before the engine ends its process. */
const GRACE_MS = 5000;

/**
 * Runs graphs whose stages run in child processes. The engine keeps the processes between runs, so that
 * resident weights stay loaded. If a process dies, its current run fails and the next run gets a new process.
 */
export class HostedEngine implements Engine {
  readonly concurrency: number;
  /** One executor per device, or the executor from the options. */
  #executors: readonly [ClosableExecutor, ...ClosableExecutor[]];
  /** The executors that keep processes. */
  #hosted: readonly ProcessExecutor[];
  #options: PrepareOptions & { readonly store: RunStore };
  #slots: Slots;
  #checks = new Slots(CHECKS_AT_ONCE);
  #freed = new FreedMemory();
  #running = new Set<Promise<EngineResult>>();
  #closing = new AbortController();

  /** @param options Options of the engine. */
  constructor(
    {
      registry,
      models,
      loras = [],
      store,
      plugins = [],
      devices = ["cpu"],
      threads,
      residency,
      keepAliveMs,
      executor,
      results = new FolderStore(store),
      ...others
    }: HostedEngineOptions,
  ) {
    const { concurrency = devices.length, ...limits } = others;
    this.concurrency = concurrency;
    this.#slots = new Slots(concurrency);
    const onDevice = (device: Device) =>
      new ProcessExecutor({
        plugins: [...plugins],
        models: { localFilesOnly: true, listed: asJson(models), loras: asJson(loras) },
        runtime: asJson({ device, threads }) as JsonObject,
        fingerprints: store,
        background: true,
        graceMs: GRACE_MS,
        keepAliveMs,
        // One process more than the number of concurrent runs, so that requests can be checked during runs.
        warmHosts: Math.ceil(concurrency / devices.length) + 1,
      });
    const [first = "cpu", ...more] = devices;
    const hosted = executor ? undefined : [onDevice(first), ...more.map(onDevice)] as const;
    this.#hosted = hosted ?? [];
    this.#executors = executor ? [executor] : hosted!;
    const freeOnGpus = (executor ? [] : devices).map(freeGpuMemory).filter((bytes) => bytes !== undefined);
    this.#options = {
      ...limits,
      freeGpuMemory: freeOnGpus.length === 0 ? undefined : Math.min(...freeOnGpus),
      registry,
      executors: this.#executors,
      store: results,
      residency: residency === undefined ? undefined : { "*": residency },
    };
  }

  async prepare(request: PrepareRequest, signal: AbortSignal): Promise<Preparation> {
    using _slot = await this.#checks.take(signal);
    const residency = request.residency ?? this.#options.residency?.["*"];
    return await this.#executors[0].prepare({ ...request, residency }, { signal });
  }

  async check(graph: unknown, signal: AbortSignal): Promise<CheckedGraph> {
    using _slot = await this.#checks.take(signal);
    const { nodes, memory } = await prepareRun(graph, { ...this.#options, signal });
    const warnings = nodes.flatMap(({ prepared }) => prepared.warnings);
    return {
      warnings: [...new Set(warnings)],
      memory: asJson(memory) as JsonObject,
      pictures: picturesOfRun(nodes),
    };
  }

  async run(run: EngineRun): Promise<EngineResult> {
    const running = this.#run({ ...run, signal: AbortSignal.any([run.signal, this.#closing.signal]) });
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  get keepsHosts(): boolean {
    return this.#hosted.length > 0;
  }

  hosts(): readonly WarmHost[] {
    return this.#hosted.flatMap(({ hosts }) => hosts);
  }

  async unload(model?: string): Promise<readonly string[]> {
    return (await Promise.all(this.#hosted.map((executor) => executor.unload(model)))).flat();
  }

  async #run({ graph, onEvent, keepAliveMs, ...options }: EngineRun): Promise<EngineResult> {
    using slot = await this.#slots.take(options.signal);
    const place = slot.index % this.#executors.length;
    const executor = this.#hosted[place]?.keepingWarm(keepAliveMs) ?? this.#executors[place]!;
    try {
      const outputs: Record<string, MadeOutput> = {};
      const made = await executeGraph(graph, {
        ...this.#options,
        ...options,
        executors: [executor],
        onEvent(event) {
          if (event.type === "artifact") {
            outputs[`${event.node}.${event.port}`] = { id: event.id, kind: event.kind };
          }
          onEvent(event);
        },
      });
      for (const [output, { id, kind }] of made) {
        outputs[output] = { id, kind, ...(kind === "image" ? await this.#pictures(id) : {}) };
      }
      return outputs;
    } finally {
      this.#freed.runEnded();
    }
  }

  async close(): Promise<void> {
    this.#freed.close();
    this.#closing.abort();
    await Promise.allSettled(this.#running);
    await Promise.all(this.#executors.map((executor) => executor.close()));
  }

  /** Returns the number of pictures in an artifact of the store, their size and their seeds. */
  async #pictures(id: string): Promise<Partial<MadeOutput>> {
    // If the disk is full, the store may lack the artifact. The run is then repeated.
    const outline = await this.#options.store.outline?.(id);
    if (!outline) return {};
    const { shapes, metadata } = outline;
    const [images, , height, width] = shapes["image"] ?? [];
    if (!images || !height || !width) return {};
    const seeds = z.array(z.string()).safeParse(metadata["seeds"]);
    return { images, height, width, ...(seeds.success ? { seeds: seeds.data } : {}) };
  }
}
