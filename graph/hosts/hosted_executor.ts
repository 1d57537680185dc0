// This module is browser compatible.

import type { JsonObject } from "../../artifacts/artifact.ts";
import { asJson } from "../../artifacts/canonical_json.ts";
import type { RunStore } from "../../artifacts/store/store.ts";
import type {
  ExecuteOptions,
  Executor,
  IdentifiedArtifact,
  PreparedNode,
  PrepareRequest,
  StageResponse,
} from "../executors/executor.ts";
import { type ArtifactCarrier, HostConnection, type HostLink } from "./host_connection.ts";
import type { HostSettings, HostTask } from "./protocol.ts";
import { type WarmHost, WarmHosts } from "./warm_hosts.ts";

/** Options of an executor with hosts. */
export interface HostedExecutorOptions extends Partial<HostSettings> {
  /**
   * Milliseconds that a cancelled stage has to end by itself before its host is killed.
   *
   * @default {500}
   */
  readonly graceMs?: number | undefined;
  /**
   * Number of hosts to keep between stages, with resident weights open. At 0 each stage has its own host,
   * which ends with the stage and releases all its memory.
   *
   * @default {0}
   */
  readonly warmHosts?: number | undefined;
  /**
   * Milliseconds that an idle host waits for its next stage before it ends.
   *
   * @default {Infinity}
   */
  readonly keepAliveMs?: number | undefined;
  /** Tries nodes in this thread if a host would have to download weights to prepare them. */
  readonly trial?: Executor | undefined;
  /** Called with the progress of downloads. */
  readonly onDownload?: ((progress: JsonObject) => void) | undefined;
  /** Called with warnings about the hub. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Runs stages in hosts: threads or processes next to this one. */
export abstract class HostedExecutor implements Executor {
  abstract readonly name: string;
  #options: HostedExecutorOptions;
  #warm: WarmHosts;

  /** @param options The hosts' settings. */
  constructor(options: HostedExecutorOptions = {}) {
    this.#options = options;
    this.#warm = new WarmHosts(options.keepAliveMs ?? Infinity);
  }

  /** Starts a host. */
  protected abstract start(): HostLink;

  /** Returns how artifacts travel for a run with this store. */
  protected abstract carrier(store: RunStore): Promise<ArtifactCarrier & AsyncDisposable>;

  /** Cleans up after a host that was killed in the middle of its work. */
  protected async cleanUp(_folder: string | undefined, _pid: number | undefined): Promise<void> {}

  /** Milliseconds that a cancelled stage has to end by itself. */
  protected get graceMs(): number {
    return this.#options.graceMs ?? 500;
  }

  /**
   * Returns whether preparing a node downloads weights. Hosts find models in the same places as this thread.
   */
  async downloads(node: PrepareRequest["node"]): Promise<boolean> {
    return await this.#options.trial?.downloads?.(node) ?? false;
  }

  /** Prepares a node on a host, which then waits for nodes to run. */
  prepare(request: PrepareRequest, options: { readonly signal: AbortSignal }): Promise<PreparedNode> {
    return this.#prepare(request, options);
  }

  /**
   * Returns this executor for one run. It decides how long the hosts that the run used wait afterwards.
   *
   * @param keepMs Milliseconds. The default is the executor's `keepAliveMs`. 0 ends the hosts with the run.
   */
  keepingWarm(keepMs?: number): Executor {
    const used = new Set<HostConnection>();
    return {
      name: this.name,
      downloads: (node) => this.downloads(node),
      prepare: (request, options) => this.#prepare(request, options, used),
      runEnded: async () => {
        await Promise.all([...used].map((host) => this.#warm.keep(host, keepMs)));
        await this.runEnded();
      },
    };
  }

  async #prepare(
    request: PrepareRequest,
    { signal }: { readonly signal: AbortSignal },
    used?: Set<HostConnection>,
  ): Promise<PreparedNode> {
    const { node, inputs, residency, lowestPrecision, isTrial } = request;
    const { trial } = this.#options;
    if (isTrial && trial) return await trial.prepare(request, { signal });
    const task: HostTask = {
      node: node.id,
      stage: node.stage.name,
      stageVersion: node.stage.version,
      parameters: asJson(node.parameters) as JsonObject,
      outlines: JSON.parse(JSON.stringify(inputs)),
      residency,
      lowestPrecision,
    };
    // The host that ran last has weights open, so it stays free for the next stage that runs.
    const host = this.#take("first");
    used?.add(host);
    try {
      const preparation = await host.prepare(task, signal);
      this.#warm.prepared(host);
      return {
        ...preparation,
        execute: (artifacts, options) => this.#execute(task, artifacts, options, used),
      };
    } catch (error) {
      // A host that refused a stage is still usable. A host whose stage was cancelled may still be working.
      if (signal.aborted || host.isOver) await this.#kill(host);
      else this.#warm.prepared(host);
      throw error;
    }
  }

  /** Ends idle hosts, except the number to keep. */
  async runEnded(): Promise<void> {
    const { warmHosts = 0 } = this.#options;
    await this.#warm.trim(warmHosts);
  }

  /** The hosts that work or wait. */
  get hosts(): readonly WarmHost[] {
    return this.#warm.list();
  }

  /**
   * Ends the hosts that have a model in memory, or all of them. A busy host ends with its run.
   *
   * @returns The models whose weights are released.
   */
  unload(model?: string): Promise<string[]> {
    return this.#warm.unload(model);
  }

  /** Ends all idle hosts. */
  async close(): Promise<void> {
    await this.#warm.close();
  }

  async #execute(
    task: HostTask,
    inputs: Readonly<Record<string, IdentifiedArtifact>>,
    options: ExecuteOptions,
    used?: Set<HostConnection>,
  ): Promise<StageResponse> {
    const { warmHosts = 0 } = this.#options;
    options.signal.throwIfAborted();
    await using carrier = await this.carrier(options.store);
    const host = this.#take("last");
    used?.add(host);
    let isIdle = false;
    try {
      const response = await host.run(task, inputs, carrier, options);
      isIdle = true;
      return response;
    } catch (error) {
      isIdle = warmHosts > 0 && !options.signal.aborted && !host.isOver;
      throw error;
    } finally {
      if (isIdle && warmHosts > 0) this.#warm.ran(host);
      else if (isIdle) {
        this.#warm.drop(host);
        await host.close();
      } else {
        await this.#kill(host);
        await this.cleanUp(carrier.folder, host.pid);
      }
    }
  }

  /** Takes the first or last idle host, or starts a new one. */
  #take(which: "first" | "last"): HostConnection {
    const waiting = this.#warm.take(which);
    if (waiting) return waiting;
    const { plugins = [], models = {}, runtime = {}, fingerprints, background, onDownload, onWarning } =
      this.#options;
    const settings: HostSettings = {
      plugins: [...plugins],
      models,
      runtime,
      fingerprints,
      background,
    };
    const link = this.start();
    const host = new HostConnection({ link, settings, graceMs: this.graceMs, onDownload, onWarning });
    this.#warm.add(host);
    return host;
  }

  async #kill(host: HostConnection): Promise<void> {
    this.#warm.drop(host);
    await host.kill();
  }
}

/**
 * Returns a carrier that sends artifacts through a store in a folder that both sides open. Artifacts that the
 * store cannot take because it is full travel through a spare store, or in the messages.
 *
 * @param store The store.
 * @param spare The spare store, if messages do not carry artifacts.
 */
export function sharedStoreCarrier(store: RunStore, spare?: RunStore): ArtifactCarrier {
  return {
    folder: store.folder,
    spare: spare?.folder,
    async send({ id, artifact }) {
      if (await store.has(id)) return { id };
      const kept = await store.put(artifact).catch(() => undefined) ?? await spare?.put(artifact);
      return kept === undefined ? { artifact } : { id: kept };
    },
    async receive({ id, artifact }) {
      if (artifact) return { artifact };
      const other = await store.has(id!) ? undefined : await spare?.get(id!);
      return other ? { artifact: other } : { id: id! };
    },
  };
}
